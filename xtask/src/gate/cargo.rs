//! Gates that are one cargo command.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::platform::every;
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

/// Not in the run of the whole workspace: the one is built for the kernel, of the other only a part needs no cluster.
const APART: [&str; 2] = ["datapath-programs", SUITES];
/// The suites that need a cluster. What they stand on has tests that need none.
const SUITES: &str = "gloonet-e2e";

/// Runs every test that needs no cluster.
pub fn tests(tally: &mut Tally) -> Result<()> {
    let [workspace, library] = runs();
    let mut workspace = cargo(&workspace)?;
    let mut library = cargo(&library)?;
    let what = "what the suites on the lab stand on";
    every([
        tally::counted("tests", "build and run", 420, &mut workspace, tally),
        tally::counted("tests-suites", what, 30, &mut library, tally),
    ])
}

/// Arguments of cargo, of each run.
fn runs() -> [Vec<&'static str>; 2] {
    let run = |what: &[&'static str]| [&["test", "--no-fail-fast"][..], what].concat();
    let mut workspace = run(&["--workspace"]);
    for not_here in APART {
        workspace.extend(["--exclude", not_here]);
    }
    [workspace, run(&["--package", SUITES, "--lib"])]
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

#[cfg(test)]
mod tests {
    use cargo_metadata::{Metadata, TargetKind};

    use super::*;

    /// Whether cargo, given these arguments, runs the tests of that library or program.
    fn covers(run: &[&str], package: &str, kind: &TargetKind) -> bool {
        let is_given = |flag: &str, value: &str| run.windows(2).any(|pair| pair == [flag, value]);
        if run.contains(&"--workspace") {
            return !is_given("--exclude", package);
        }
        is_given("--package", package) && (*kind == TargetKind::Lib) == run.contains(&"--lib")
    }

    #[test]
    fn every_library_and_program_of_the_workspace_has_its_tests_run() {
        let mut command = cargo(&["metadata", "--no-deps", "--format-version", "1"]).unwrap();
        let said = process::output(&mut command).unwrap();
        let metadata: Metadata = serde_json::from_str(&said).unwrap();
        let mut left_out = Vec::new();
        for package in &metadata.packages {
            let own = [TargetKind::Lib, TargetKind::Bin];
            let tested = package.targets.iter().filter(|target| target.test);
            for kind in tested.flat_map(|target| &target.kind) {
                let run = |run: &Vec<&str>| covers(run, package.name.as_str(), kind);
                if own.contains(kind) && !runs().iter().any(run) {
                    left_out.push(format!("{kind} {}", package.name));
                }
            }
        }
        assert_eq!(left_out, Vec::<String>::new());
    }
}
