//! Embeds the eBPF object that `cargo xtask build-ebpf` left in `target/bpf/nids.o`.
//!
//! Without it the crate still builds, for work on a machine without the BPF toolchain: the binary then
//! has an empty object and says so when it is asked to attach.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("nids.o");
    println!("cargo::rerun-if-env-changed=NIDS_EBPF_OBJECT");
    let object = match env::var_os("NIDS_EBPF_OBJECT") {
        Some(path) => PathBuf::from(path),
        None => manifest.join("../target/bpf/nids.o"),
    };
    println!("cargo::rerun-if-changed={}", object.display());
    let bytes = read(&object);
    fs::write(&out, bytes).expect("OUT_DIR is writable");
}

/// The object, or nothing where it has not been built.
fn read(object: &Path) -> Vec<u8> {
    fs::read(object).unwrap_or_default()
}
