//! Where things are, and how other programs are run from here.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The checkout this xtask was built from.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where the built eBPF objects are kept.
pub fn bpf_folder() -> PathBuf {
    root().join("target/bpf")
}

/// A path as a person would type it from the root of the checkout.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Runs a command to its end with our terminal.
///
/// # Errors
/// When it cannot be started or does not succeed; the text names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let text = text(command);
    let status = command.status().with_context(|| format!("cannot start `{text}`"))?;
    if !status.success() {
        bail!("`{text}` failed ({status})");
    }
    Ok(())
}

/// What a command prints to standard output, or nothing where it cannot be started or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// A program on the search path, or in cargo's own folder for programs.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let cargo_bin = std::env::home_dir().map(|home| home.join(".cargo/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(cargo_bin)
        .map(|folder| folder.join(name))
        .find(|candidate| is_executable(candidate))
}

/// Whether this is a file that may be run.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

/// A command as one would type it.
pub fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
