//! The scripts of the VM tests: each is type-checked against the driver's interface with the machines its test has.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::tools::{Tools, use_stub};
use crate::process::{output, run_logged};
use crate::progress::Step;

const FOLDER: &str = "nixos-tests";
const PREFIX: &str = "vm-";

/// Checks every script and returns how many there are. A script without a test, or a test without a script, is an error.
pub(super) fn check(tools: &Tools, root: &Path, step: &mut Step) -> Result<usize> {
    let tests: Vec<String> = evaluate(
        tools,
        root,
        "checks.x86_64-linux",
        &format!(
            "checks: builtins.filter (name: builtins.substring 0 {} name == \"{PREFIX}\") (builtins.attrNames checks)",
            PREFIX.len()
        ),
    )?;
    let behaviours: Vec<&str> = tests
        .iter()
        .filter_map(|test| test.strip_prefix(PREFIX))
        .collect();
    ensure!(
        scripts(root)? == behaviours,
        "{FOLDER}/*.py and the tests of {FOLDER}/default.nix differ: scripts {:?}, tests {behaviours:?}",
        scripts(root)?
    );
    for behaviour in &behaviours {
        let machines = evaluate(
            tools,
            root,
            &format!("checks.x86_64-linux.{PREFIX}{behaviour}.nodes"),
            "builtins.attrNames",
        )?;
        check_one(tools, root, behaviour, &machines, step)
            .with_context(|| format!("check {FOLDER}/{behaviour}.py"))?;
    }
    Ok(behaviours.len())
}

fn scripts(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(FOLDER)).context("list the VM tests")? {
        let path = entry.context("list the VM tests")?.path();
        if path.extension().is_some_and(|extension| extension == "py") {
            names.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    names.sort();
    Ok(names)
}

fn evaluate(tools: &Tools, root: &Path, attribute: &str, function: &str) -> Result<Vec<String>> {
    let mut command = tools.nix(root);
    command.args([
        "eval",
        "--json",
        &format!(".#{attribute}"),
        "--apply",
        function,
    ]);
    use_stub(&mut command, root);
    serde_json::from_str(&output(&mut command)?)
        .with_context(|| format!("read the names in {attribute}"))
}

/// Runs mypy and pyflakes over the script behind one line that brings in the driver and declares the machines; so a line
/// number they print is one too high.
fn check_one(
    tools: &Tools,
    root: &Path,
    behaviour: &str,
    machines: &[String],
    step: &mut Step,
) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the checkers")?;
    let source = fs::read_to_string(root.join(format!("{FOLDER}/{behaviour}.py")))?;
    let interface = fs::read_to_string(root.join(format!("{FOLDER}/driver.pyi")))?;
    let declared: Vec<String> = machines
        .iter()
        .map(|name| format!("{name}: Machine\n"))
        .collect();
    let names = format!("Machine, start_all, subtest, {}", machines.join(", "));
    let module = behaviour.replace('-', "_");
    fs::write(
        folder.path().join("driver.pyi"),
        interface + &declared.concat(),
    )?;
    fs::write(
        folder.path().join(format!("{module}.py")),
        format!("from driver import {names}\n{source}"),
    )?;
    run_logged(
        Command::new(tools.python.join("mypy"))
            .current_dir(folder.path())
            .args(["--strict", "--no-error-summary", "--cache-dir=/dev/null"])
            .arg(format!("{module}.py")),
        &format!("mypy-{behaviour}"),
        step,
    )
    .context("mypy (its lines count from the second)")?;
    run_logged(
        Command::new(tools.python.join("pyflakes"))
            .env("PYFLAKES_BUILTINS", names.replace(' ', ""))
            .arg(root.join(format!("{FOLDER}/{behaviour}.py"))),
        &format!("pyflakes-{behaviour}"),
        step,
    )
    .context("pyflakes")
    .map(drop)
}
