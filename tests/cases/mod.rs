//! Stages on data made here, without the kernel.

mod output;
mod output_follow;
