//! Gates that are one cargo command.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::tally::{self, Tally};
use crate::progress::Step;
use crate::{home, process};

/// Fails when a Cargo.toml says something Cargo.lock does not know.
pub fn lock_is_current() -> Result<()> {
    let mut command = cargo(&["metadata", "--locked", "--format-version", "1"])?;
    process::output(&mut command)
        .map(drop)
        .context("Cargo.lock is not current: run cargo check and commit it")
}

/// Fails when rustfmt would change a file.
pub fn format() -> Result<()> {
    process::run(&mut cargo(&["fmt", "--all", "--check"])?).context("run cargo fmt --all")
}

/// Fails on any warning.
pub fn clippy() -> Result<()> {
    let mut command = cargo(&[
        "clippy",
        "--quiet",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])?;
    logged("clippy", "every crate and its tests", 240, &mut command)
}

/// Runs every test that needs no cluster.
pub fn tests(tally: &mut Tally) -> Result<()> {
    let mut command = cargo(&["test", "--no-fail-fast", "--workspace"])?;
    for not_here in ["datapath-programs", "gloonet-e2e"] {
        command.args(["--exclude", not_here]);
    }
    tally::counted("tests", "build and run", 420, &mut command, tally)
}

/// Installs the toolchain of the kernel programs where it is missing.
pub fn ebpf_toolchain() -> Result<()> {
    if Path::new("/opt/bpf/bin/bpf-linker").exists() {
        return Ok(());
    }
    process::run(&mut Command::new(home::root()?.join("xtask/setup/ebpf.sh")))
}

fn logged(name: &str, what: &str, usual: u64, command: &mut Command) -> Result<()> {
    let mut step = Step::start(name, what, Duration::from_secs(usual));
    process::run_logged(command, &format!("gate-{name}"), &mut step)?;
    step.done();
    Ok(())
}

/// cargo in the work tree's root.
pub fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = Command::new("cargo");
    command.current_dir(home::root()?).args(arguments);
    Ok(command)
}
