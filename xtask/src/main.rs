//! `cargo xtask`: what a checkout needs to be built, run, tested and measured.
fn main() {}
