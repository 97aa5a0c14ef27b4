//! Stages on data made here, without the kernel.

mod output;
