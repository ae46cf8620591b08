//! Measurements of the management plane, which need no cluster: its own crate has them, built as the images are.

use anyhow::Result;

use crate::gate::cargo::cargo;
use crate::process;

/// Handed on; `./dev bench relay -- --help` lists them.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[arg(last = true)]
    handed_on: Vec<String>,
}

pub fn run(name: &str, arguments: &Arguments) -> Result<()> {
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--profile",
        "image",
        "--package",
        "gloo-bench",
        "--",
        name,
    ])?;
    process::run(command.args(&arguments.handed_on))
}
