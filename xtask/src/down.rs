//! `./dev down`: takes the lab back.

use anyhow::Result;

use crate::lab::Lab;
use crate::process;

/// Arguments of `./dev down`.
#[derive(Debug, Default, clap::Args)]
pub struct Arguments {}

/// Stops the cluster and removes every process, namespace, mount and file of it. What is built stays.
pub fn run(_arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    lab.build()?;
    process::run(lab.command().arg("down").stdout(std::io::stderr()))
}
