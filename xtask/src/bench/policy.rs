//! `./dev bench policy`: how fast a policy holds, and what ten thousand identities with two hundred policies cost.
//!
//! Each figure stands beside its aim. What is measured from the write of a NetworkPolicy to the first packet that meets it, on
//! the node where it meets it last, holds API server, watch, resolver and datapath.

pub mod crowd;
pub mod flips;
pub mod resolver;
mod room;

use anyhow::Result;

use super::api;
use crate::lab::Lab;

const AIM_MB: f64 = 100.0;

/// Arguments of `./dev bench policy`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Writes of a policy that is measured from the API to the last node.
    #[arg(long, default_value_t = 60)]
    applies: usize,
    /// Pods on one worker while its agent's memory is read; with them come 10,000 identities and 200 policies. 0 leaves
    /// all of that out.
    #[arg(long, default_value_t = 100)]
    pods: u32,
    /// Leave out the resolver alone, which takes a release build.
    #[arg(long)]
    no_resolver: bool,
}

/// Measures and prints a table.
pub fn run(arguments: &Arguments) -> Result<()> {
    println!(
        "{:<58} {:>10} {:>10} {:>8}",
        "policy", "ours", "aim", "ratio"
    );
    if !arguments.no_resolver {
        resolver::run()?;
    }
    api::on_cluster(async |lab, client| on_cluster(lab, &client, arguments).await)
}

async fn on_cluster(lab: &Lab, client: &kube::Client, arguments: &Arguments) -> Result<()> {
    flips::run(lab, client, arguments.applies, "alone").await?;
    if arguments.pods == 0 {
        return Ok(());
    }
    crowd::disperse(client).await?;
    let measured = api::interruptible(among(lab, client, arguments)).await;
    let dispersed = crowd::disperse(client).await;
    measured.and(dispersed)
}

async fn among(lab: &Lab, client: &kube::Client, arguments: &Arguments) -> Result<()> {
    let crowd = crowd::Crowd::gather(lab, client, arguments.pods).await?;
    crowd.print_memory(AIM_MB)?;
    flips::run(lab, client, arguments.applies, "in that state").await
}

/// One line of the table; the smaller the better.
pub fn row(what: &str, ours: f64, aim: f64, unit: &str) {
    println!(
        "{what:<58} {ours:>6.1} {unit:<3} {aim:>6.0} {unit:<3} {:>8.2}",
        ours / aim
    );
}
