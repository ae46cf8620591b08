//! What can be measured, by name.

use anyhow::Result;
use clap::Subcommand;

use crate::{insights, logs, relay, translate};

#[derive(Debug, Subcommand)]
pub(crate) enum Name {
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

impl Name {
    pub(crate) fn run(&self) -> Result<()> {
        match self {
            Self::Translate => {
                translate::run();
                Ok(())
            }
            Self::Relay(arguments) => relay::run(arguments),
            Self::Insights(arguments) => insights::run(arguments),
            Self::Logs(arguments) => logs::run(arguments),
            Self::Agents(arguments) => relay::agents::run(arguments),
        }
    }
}
