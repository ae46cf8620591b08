//! Checks the Nix delivery where neither nixpkgs nor a binary cache can be reached: the flake is evaluated, for both
//! architectures, against `nix/stub`, linted, and the scripts of its VM tests are type-checked. Nothing is built or booted.

mod scripts;
mod tools;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::home;
use crate::process::{output, run_logged};
use crate::progress::Step;

use tools::{Tools, use_stub};

/// `xtask nix` takes no arguments.
#[derive(Debug, clap::Args)]
pub struct Arguments {}

/// Runs every check of the Nix files; the first that fails ends the task with what it printed.
pub fn run(_: &Arguments) -> Result<()> {
    let root = home::root()?;
    let tools = Tools::install()?;
    let mut step = Step::start(
        "nix",
        "evaluate the flake against the stub, lint, type-check the VM tests",
        Duration::from_secs(15),
    );
    let sources = nix_files(&root)?;
    syntax(&root, &sources)?;
    unused_names(&tools, &root, &sources, &mut step)?;
    lock_agrees(&tools, &root)?;
    evaluate(&tools, &root, &mut step)?;
    let checked = scripts::check(&tools, &root, &mut step)?;
    step.done();
    println!(
        "nix: {} files and the flake's outputs evaluate, {} VM test script(s) type-check; none was built or booted here",
        sources.len(),
        checked
    );
    Ok(())
}

/// The Nix files that a flake can see, from the root: those git knows.
fn nix_files(root: &Path) -> Result<Vec<String>> {
    let listed = output(
        Command::new("git")
            .current_dir(root)
            .args(["ls-files", "*.nix"]),
    )?;
    let files: Vec<String> = listed.lines().map(str::to_owned).collect();
    ensure!(
        !files.is_empty(),
        "git knows no .nix file; `git add` them, a flake sees nothing else"
    );
    Ok(files)
}

fn syntax(root: &Path, sources: &[String]) -> Result<()> {
    output(
        Command::new("nix-instantiate")
            .current_dir(root)
            .arg("--parse")
            .args(sources),
    )
    .context("a Nix file does not parse")
    .map(drop)
}

fn unused_names(tools: &Tools, root: &Path, sources: &[String], step: &mut Step) -> Result<()> {
    run_logged(
        Command::new(&tools.deadnix)
            .current_dir(root)
            .arg("--fail")
            .args(sources),
        "deadnix-check",
        step,
    )
    .context("deadnix found unused bindings")
    .map(drop)
}

/// Fails when `flake.nix` asks for an input that `flake.lock` does not pin. Needs no network: nothing is fetched.
fn lock_agrees(tools: &Tools, root: &Path) -> Result<()> {
    output(
        tools
            .nix(root)
            .args(["flake", "metadata", "--no-update-lock-file", "--json"]),
    )
    .context("flake.lock does not match flake.nix")
    .map(drop)
}

fn evaluate(tools: &Tools, root: &Path, step: &mut Step) -> Result<()> {
    let mut command = tools.nix(root);
    command.args(["flake", "check", "--no-build"]);
    use_stub(&mut command, root);
    run_logged(&mut command, "nix-flake-check", step)
        .context("the flake does not evaluate")
        .map(drop)
}
