//! Builds the kernel programs into the object file that `datapath` embeds, byte for byte the same wherever the work tree lies.
//!
//! The object is committed, so only who changes a program needs the toolchain: Debian's rustc with its prebuilt `core` for
//! BPF, bpf-linker on the same LLVM, and llvm-strip (`./dev setup` installs all three).

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::home;
use crate::process::{output, run_logged};
use crate::progress::Step;

const RUSTC: &str = "/usr/bin/rustc";
/// The release whose output is committed; another one may well give other bytes.
const RUSTC_RELEASE: &str = "rustc 1.96.";
const LINKER_FOLDER: &str = "/opt/bpf/bin";
const STRIP: &str = "llvm-strip-19";
const OBJECT: &str = "ebpf/datapath/object/datapath.bpf.o";

/// `xtask ebpf [--check]`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write nothing; fail if the committed object differs from what the sources give.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Builds the object and writes it, or compares it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let root = home::root()?;
    require_toolchain()?;
    let mut step = Step::start("ebpf", "build the kernel programs", Duration::from_secs(30));
    let built = build(&root, &mut step)?;
    step.done();
    let object = root.join(OBJECT);
    let fresh = fs::read(&built).with_context(|| format!("read {}", built.display()))?;
    let committed = fs::read(&object).unwrap_or_default();
    if fresh == committed {
        println!(
            "ebpf: {OBJECT} is what the sources give ({} bytes)",
            fresh.len()
        );
        return Ok(());
    }
    if arguments.check {
        bail!(
            "{OBJECT} ({} bytes) is not what the sources give ({} bytes); run `./dev ebpf` and commit it",
            committed.len(),
            fresh.len()
        );
    }
    fs::write(&object, &fresh).with_context(|| format!("write {}", object.display()))?;
    println!("ebpf: wrote {OBJECT} ({} bytes)", fresh.len());
    Ok(())
}

fn require_toolchain() -> Result<()> {
    let version = output(Command::new(RUSTC).arg("--version"))
        .context("the kernel programs need Debian's rustc-web; `./dev setup` installs it")?;
    if !version.starts_with(RUSTC_RELEASE) {
        bail!(
            "{RUSTC} is {}, the committed object is from {RUSTC_RELEASE}x; update RUSTC_RELEASE in xtask/src/ebpf.rs \
             together with the object",
            version.trim()
        );
    }
    if !Path::new(LINKER_FOLDER).join("bpf-linker").is_file() {
        bail!("{LINKER_FOLDER}/bpf-linker is missing; `./dev setup` installs it");
    }
    Ok(())
}

fn build(root: &Path, step: &mut Step) -> Result<PathBuf> {
    let target = home::target()?.join("ebpf");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root)
        .args([
            "build",
            "--locked",
            "--profile",
            "bpf",
            "--package",
            "datapath-programs",
        ])
        .args(["--target", "bpfel-unknown-none", "--target-dir"])
        .arg(&target)
        .env("RUSTC", RUSTC)
        // aya-ebpf uses an unstable feature; Debian's compiler is a stable one.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("PATH", path_with_linker()?)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root)?)
        .env_remove("RUSTC_WRAPPER");
    run_logged(&mut cargo, "ebpf-build", step)?;
    let linked = target.join("bpfel-unknown-none/bpf/datapath");
    let stripped = target.join("datapath.bpf.o");
    // DWARF goes, BTF stays: the kernel and bpftool read it.
    let mut strip = Command::new(STRIP);
    strip.arg("-g").arg("-o").arg(&stripped).arg(&linked);
    run_logged(&mut strip, "ebpf-strip", step)?;
    Ok(stripped)
}

/// Paths of this machine must not get into the object: BTF names the source files.
fn flags(root: &Path) -> Result<OsString> {
    let cargo_home = match env::var_os("CARGO_HOME") {
        Some(set) => PathBuf::from(set),
        None => PathBuf::from(env::var_os("HOME").context("neither CARGO_HOME nor HOME is set")?)
            .join(".cargo"),
    };
    let mut flags = OsString::from("-Cdebuginfo=2\u{1f}-Clink-arg=--btf");
    for (from, to) in [(root, "=/src"), (cargo_home.as_path(), "=/cargo")] {
        flags.push("\u{1f}--remap-path-prefix=");
        flags.push(from);
        flags.push(to);
    }
    Ok(flags)
}

fn path_with_linker() -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(PathBuf::from(LINKER_FOLDER)).chain(env::split_paths(&path));
    env::join_paths(folders).context("put the linker into PATH")
}
