//! Measurements of the management plane, each beside its aim. `./dev bench relay|translate|insights|logs` builds and runs this.

mod insights;
mod logs;
mod relay;
mod translate;

use clap::{Parser, Subcommand};

/// Measures the management plane.
#[derive(Debug, Parser)]
#[command(name = "gloo-bench")]
struct Arguments {
    #[command(subcommand)]
    name: Name,
}

#[derive(Debug, Subcommand)]
enum Name {
    /// A fleet from scratch, and one change of it, at 10, 100 and 1,000 workspaces.
    Translate,
    /// Many clusters at one server: time to warmed, memory, latency of changes, all of them back at once.
    Relay(relay::Arguments),
    /// All rules over large clusters: time of a run, memory.
    Insights(insights::Arguments),
    /// The way of log records, beside a collector that throws them away; Redis and the gateway away under load.
    Logs(logs::Arguments),
    /// The agents' end of `relay`, which starts it: memory and time of theirs are none of the server's.
    #[command(hide = true)]
    Agents(relay::agents::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().name {
        Name::Translate => {
            translate::run();
            Ok(())
        }
        Name::Insights(arguments) => insights::run(&arguments),
        Name::Logs(arguments) => logs::run(&arguments),
        Name::Relay(arguments) => relay::run(&arguments),
        Name::Agents(arguments) => relay::agents::run(&arguments),
    }
}
