//! Tests on the real kernel. Without the rights or the tools they need, they say why they skip.

pub mod bpf;
mod program;
