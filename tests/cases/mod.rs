//! Stages on data made here, without the kernel.

mod corpus;
mod output;
mod output_follow;
