//! `./dev down`: takes the lab back.

use anyhow::Result;

use crate::lab::Lab;
use crate::process;
use crate::up::clusters;

/// Arguments of `./dev down`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// As for `./dev up`: how many clusters, the first included.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(clusters::MOST)))]
    pub clusters: u32,
}

/// Stops the cluster, and the workload clusters that were brought up beside it, and removes every process, namespace, mount
/// and file of them. What is built stays.
pub fn run(arguments: &Arguments) -> Result<()> {
    let lab = Lab::from_environment()?;
    lab.build()?;
    clusters::down(&lab, arguments.clusters)?;
    process::run(lab.command().arg("down").stdout(std::io::stderr()))
}
