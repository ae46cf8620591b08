//! The programs the Nix checks need besides Debian's packages, brought here once.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::home;
use crate::process::run_logged;
use crate::progress::Step;

const DEADNIX: &str = "1.3.1";
/// Of the Python package index; the type checker and linter that the NixOS test driver itself uses.
const PYTHON_TOOLS: [&str; 2] = ["mypy==1.18.2", "pyflakes==3.4.0"];

/// Settings in place of a nix.conf: no daemon, no build users, no cache, no registry.
const SETTINGS: &str = "experimental-features = nix-command flakes
build-users-group =
substituters =
flake-registry =
warn-dirty = false";

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Tools {
    /// The dead-code linter of Nix files.
    pub(super) deadnix: PathBuf,
    /// `bin` of a Python environment with mypy and pyflakes.
    pub(super) python: PathBuf,
    state: PathBuf,
}

impl Tools {
    /// Finds Nix and brings the linters from their registries.
    pub(super) fn install() -> Result<Self> {
        let state = home::cache_folder("nix")?;
        ensure!(
            found("nix").is_some(),
            "the Nix checks need `nix`, 2.8 or later, in PATH; `./dev setup` installs Debian's"
        );
        Ok(Self {
            deadnix: deadnix(&state)?,
            python: python(&state)?,
            state,
        })
    }

    /// A `nix` with a store and cache of its own, in the work tree.
    pub(super) fn nix(&self, root: &Path) -> Command {
        let mut command = Command::new("nix");
        command
            .current_dir(root)
            .env("NIX_CONFIG", SETTINGS)
            .env("XDG_CACHE_HOME", self.state.join("cache"))
            .args(["--store".as_ref(), self.state.join("root").as_os_str()]);
        command
    }
}

/// Puts the stand-in in the place of nixpkgs, for this call only.
pub(super) fn use_stub(command: &mut Command, root: &Path) {
    command
        .args(["--override-input", "nixpkgs"])
        .arg(format!("path:{}/nix/stub", root.display()))
        .arg("--no-write-lock-file");
}

fn found(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

fn deadnix(state: &Path) -> Result<PathBuf> {
    if let Some(path) = found("deadnix") {
        return Ok(path);
    }
    let folder = state.join(format!("deadnix-{DEADNIX}"));
    let path = folder.join("bin/deadnix");
    if !path.is_file() {
        let mut step = Step::start(
            "deadnix",
            "build the linter of Nix files",
            Duration::from_secs(40),
        );
        run_logged(
            Command::new("cargo")
                .args(["install", "--locked", "--version", DEADNIX, "--root"])
                .arg(&folder)
                .arg("deadnix"),
            "deadnix",
            &mut step,
        )?;
        step.done();
    }
    Ok(path)
}

fn python(state: &Path) -> Result<PathBuf> {
    let folder = state.join(PYTHON_TOOLS.join("+"));
    let bin = folder.join("bin");
    if bin.join("pyflakes").is_file() {
        return Ok(bin);
    }
    let mut step = Step::start(
        "mypy",
        "install the checkers of test scripts",
        Duration::from_secs(10),
    );
    run_logged(
        Command::new("python3").args(["-m", "venv"]).arg(&folder),
        "python-venv",
        &mut step,
    )
    .context("make a Python environment; `./dev setup` installs python3-venv")?;
    run_logged(
        Command::new(bin.join("pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .args(PYTHON_TOOLS),
        "python-tools",
        &mut step,
    )?;
    step.done();
    Ok(bin)
}
