//! `cargo xtask build-ebpf`: the kernel half, from source to `target/bpf/nids.o`.
//!
//! The stable toolchain that builds the agent has no standard library for `bpfel-unknown-none`. Two
//! sets of tools can do it, and the first that is complete is taken: a rustup toolchain with the source
//! of the standard library, or Debian's `rustc-web` set, which ships it built. Both need `bpf-linker`.
//! cargo itself does the caching; an object is only rewritten when it changed, so that nothing that
//! embeds it is built again for nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::workspace::{self, find_program, is_executable, output};

/// The linker.
const BPF_LINKER: &str = "0.13.0";
/// The LLVM it is built against, which must not be older than the compiler's.
const LLVM: u32 = 22;
/// A rustup toolchain with that LLVM.
const RUSTUP: &str = "1.95.0";
/// Debian's compiler and its library for BPF.
const DEBIAN_RUST: [&str; 3] = ["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"];
/// What `bpf-linker` is built with.
const DEBIAN_LINKER: [&str; 4] = ["llvm-22-dev", "g++", "zlib1g-dev", "libzstd-dev"];
/// The target's name for the compiler.
const TARGET: &str = "bpfel-unknown-none";

/// Arguments of `build-ebpf`.
#[derive(clap::Args, Clone, Copy, Default)]
// Part of the arguments of other subcommands, where a second group named `Args` would clash.
#[group(skip)]
pub struct Args {
    /// Install nothing: where tools are missing, say which and stop
    #[arg(long)]
    pub no_install: bool,
}

/// Builds the objects, and installs the tools first where they are missing and that is allowed.
///
/// # Errors
/// When no toolchain can be found or installed, or the build fails.
pub fn run(args: Args) -> Result<()> {
    let toolchain = match Toolchain::find() {
        Ok(toolchain) => toolchain,
        Err(missing) => {
            missing.install(args.no_install)?;
            match Toolchain::find() {
                Ok(toolchain) => toolchain,
                Err(missing) => bail!("installed, and still not complete: {}", missing.text()),
            }
        }
    };
    let target = build(&toolchain)?;
    for (name, object) in [("nids", "nids.o"), ("bench", "bench.o")] {
        let built = target.join(name);
        if built.exists() {
            publish(&built, &workspace::bpf_folder().join(object), &toolchain)?;
        }
    }
    Ok(())
}

/// Tools that can build for the kernel.
struct Toolchain {
    /// For the person at the terminal.
    name: String,
    cargo: PathBuf,
    /// `RUSTC` for cargo, where it would not find the right one by itself.
    rustc: Option<PathBuf>,
    /// `RUSTUP_TOOLCHAIN` for cargo.
    rustup: Option<String>,
    /// The core library comes as source.
    build_std: bool,
    linker: PathBuf,
}

/// What keeps us from building.
#[derive(Default)]
struct Missing {
    compiler: bool,
    linker: bool,
}

impl Toolchain {
    fn find() -> Result<Self, Missing> {
        let linker = find_program("bpf-linker");
        let compiler = Self::rustup().or_else(Self::debian);
        match (compiler, linker) {
            (Some(found), Some(linker)) => Ok(Self { linker, ..found }),
            (compiler, linker) => {
                Err(Missing { compiler: compiler.is_none(), linker: linker.is_none() })
            }
        }
    }

    /// A rustup toolchain with rust-src. Those whose LLVM the linker understands come first.
    fn rustup() -> Option<Self> {
        let cargo = find_program("cargo")?;
        let list = output(Command::new("rustup").args(["toolchain", "list", "--quiet"]))?;
        let home = env::var_os("RUSTUP_HOME").map(PathBuf::from);
        let toolchains =
            home.or_else(|| Some(env::home_dir()?.join(".rustup")))?.join("toolchains");
        let has_source =
            |name: &&str| toolchains.join(name).join("lib/rustlib/src/rust/library/core").is_dir();
        let too_new = |name: &&str| {
            let rustc = toolchains.join(name).join("bin/rustc");
            llvm_of(&rustc).is_none_or(|version| version > LLVM)
        };
        let names = list.lines().filter_map(|line| line.split_whitespace().next());
        let name = names.filter(has_source).min_by_key(too_new)?;
        Some(Self {
            name: format!("rustup toolchain {name}"),
            cargo,
            rustc: None,
            rustup: Some(name.to_string()),
            build_std: true,
            linker: PathBuf::new(),
        })
    }

    /// A system compiler that has the core library for the target.
    fn debian() -> Option<Self> {
        let [rustc, cargo] = ["/usr/bin/rustc", "/usr/bin/cargo"].map(PathBuf::from);
        let sysroot = PathBuf::from(output(Command::new(&rustc).args(["--print", "sysroot"]))?);
        let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
        (library.is_dir() && is_executable(&cargo)).then(|| Self {
            name: "Debian's rustc-web".to_string(),
            cargo,
            rustc: Some(rustc),
            rustup: None,
            build_std: false,
            linker: PathBuf::new(),
        })
    }

    /// A cargo command in the kernel half's own workspace.
    fn cargo(&self) -> Command {
        let mut command = Command::new(&self.cargo);
        // What the cargo that runs this xtask has set for itself.
        for name in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTC", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"] {
            command.env_remove(name);
        }
        for name in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTC_WRAPPER", "RUSTDOCFLAGS"] {
            command.env_remove(name);
        }
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        if let Some(toolchain) = &self.rustup {
            command.env("RUSTUP_TOOLCHAIN", toolchain);
        }
        // The BPF target's inline assembly is unstable; so is -Z build-std.
        command.env("RUSTC_BOOTSTRAP", "1");
        let folder = self.linker.parent().map(Path::to_path_buf);
        command.env("PATH", path_with(folder));
        command.current_dir(workspace::root().join("nids-ebpf"));
        command
    }
}

impl Missing {
    fn text(&self) -> String {
        let compiler = format!("a Rust compiler for {TARGET}");
        let linker = format!("bpf-linker {BPF_LINKER}");
        match (self.compiler, self.linker) {
            (true, true) => format!("{compiler} and {linker}"),
            (true, false) => compiler,
            (false, _) => linker,
        }
    }

    /// The commands that would help, each with the rights it needs.
    fn commands(&self) -> Vec<Step> {
        let mut packages = Vec::new();
        if self.compiler {
            packages.extend(DEBIAN_RUST);
        }
        if self.linker {
            packages.extend(DEBIAN_LINKER);
        }
        let apt = ["apt-get", "install", "--yes", "--no-install-recommends"];
        let mut steps = vec![Step::as_root(apt.into_iter().chain(packages))];
        if self.linker {
            let version = format!("bpf-linker@{BPF_LINKER}");
            let feature = format!("llvm-{LLVM}");
            steps.push(Step::as_user([
                "cargo",
                "install",
                "--locked",
                &version,
                "--no-default-features",
                "--features",
                &feature,
            ]));
        }
        steps
    }

    /// Installs what is missing, after saying so.
    ///
    /// # Errors
    /// Where that is not allowed or not possible: then the text has the commands to run by hand.
    fn install(&self, no_install: bool) -> Result<()> {
        let steps = self.commands();
        let refusal = if no_install {
            Some("--no-install was given")
        } else if find_program("apt-get").is_none() {
            Some("there is no apt-get here")
        } else if !is_root() {
            Some("installing packages needs root")
        } else {
            None
        };
        if let Some(why) = refusal {
            let by_hand: String =
                steps.iter().map(|step| format!("    {}\n", step.text())).collect();
            bail!(
                "the kernel half cannot be built: {} is missing, and {why}.\nRun\n\n{by_hand}\nA \
                 rustup toolchain can take the place of Debian's rustc-web; its LLVM must be {LLVM} or \
                 older:\n\n    rustup toolchain install {RUSTUP} --profile minimal --component \
                 rust-src",
                self.text()
            );
        }
        eprintln!("The kernel half needs {}, which is missing. Installing it:", self.text());
        for step in &steps {
            eprintln!("    {}", step.text());
        }
        workspace::run(Command::new("apt-get").arg("update"))?;
        for step in steps {
            workspace::run(&mut step.command())?;
        }
        Ok(())
    }
}

/// One command of an installation.
struct Step {
    root: bool,
    words: Vec<String>,
}

impl Step {
    fn as_root<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self { root: true, words: words.into_iter().map(str::to_string).collect() }
    }
    fn as_user<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self { root: false, ..Self::as_root(words) }
    }
    fn text(&self) -> String {
        let words = self.words.join(" ");
        if self.root { format!("sudo {words}") } else { format!("PATH={}:$PATH {words}", llvm()) }
    }
    fn command(&self) -> Command {
        let (program, arguments) = self.words.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
        let mut command = Command::new(program);
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command.env("PATH", path_with(Some(llvm().into())));
        command
    }
}

/// The major version of a compiler's LLVM.
fn llvm_of(rustc: &Path) -> Option<u32> {
    let text = output(Command::new(rustc).arg("-vV"))?;
    let version = text.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    version.split('.').next()?.parse().ok()
}

/// Where Debian keeps the tools of its LLVM.
fn llvm() -> String {
    format!("/usr/lib/llvm-{LLVM}/bin")
}

/// The search path with one more folder in front.
fn path_with(folder: Option<PathBuf>) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(folder.into_iter().chain(env::split_paths(&path))).unwrap_or(path)
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).as_deref() == Some("0")
}

/// Runs the build; gives the folder with the results.
fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let mut command = toolchain.cargo();
    command.args(["build", "--release", "--locked", "--quiet", "--workspace", "--target", TARGET]);
    if toolchain.build_std {
        command.args(["-Z", "build-std=core"]);
    }
    workspace::run(&mut command)
        .with_context(|| format!("the kernel half does not build with {}", toolchain.name))?;
    Ok(workspace::root().join("nids-ebpf/target").join(TARGET).join("release"))
}

/// Copies an object to where the agent's build looks for it, unless it is there already.
fn publish(built: &Path, object: &Path, toolchain: &Toolchain) -> Result<()> {
    let bytes = fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    let state = if fs::read(object).is_ok_and(|old| old == bytes) {
        "unchanged"
    } else {
        fs::create_dir_all(workspace::bpf_folder())?;
        // Renamed into place: a build that runs beside never sees half an object.
        let fresh = object.with_extension("o.new");
        fs::write(&fresh, &bytes).with_context(|| format!("cannot write {}", fresh.display()))?;
        fs::rename(&fresh, object)?;
        "built"
    };
    eprintln!(
        "{}: {state}, {} KiB, with {}",
        workspace::shown(object),
        bytes.len().div_ceil(1024),
        toolchain.name
    );
    Ok(())
}
