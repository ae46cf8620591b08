//! Orders to the fault proxy.

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};

use crate::cluster::Faults;
use crate::faults::{Effect, Match, Rule};

#[derive(Debug, Subcommand)]
pub(super) enum FaultAction {
    /// Put the proxy in the API server's place; the API server restarts.
    On,
    /// Put the API server back; it restarts.
    Off,
    /// Add a rule. Rules are tried in order; the first that hits decides.
    Add(RuleArguments),
    /// Remove all rules.
    Clear,
    /// Print the rules and what they have done.
    Show,
    /// End every watch that is open.
    CutWatches,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// 429 with Retry-After.
    #[value(name = "429")]
    TooManyRequests,
    /// 500.
    #[value(name = "500")]
    InternalError,
    /// 410; a watch gets an ERROR event.
    #[value(name = "410")]
    Gone,
    /// The answer comes later.
    Delay,
    /// The connection is closed without an answer.
    Hangup,
}

#[derive(Debug, Args)]
pub(super) struct RuleArguments {
    #[arg(value_enum)]
    effect: Kind,
    /// Seconds of Retry-After, or milliseconds of delay.
    #[arg(long, default_value_t = 1)]
    amount: u32,
    /// Only this HTTP method.
    #[arg(long)]
    method: Option<String>,
    /// Only paths that begin so.
    #[arg(long)]
    path_prefix: Option<String>,
    /// Only users whose name contains this, such as `system:serviceaccount:gloonet-system`.
    #[arg(long)]
    user: Option<String>,
    /// Only watches (true) or only other requests (false).
    #[arg(long)]
    watch: Option<bool>,
    /// How many of a hundred requests that match.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u8).range(1..=100))]
    percent: u8,
    /// At most so many hits.
    #[arg(long)]
    times: Option<u64>,
}

impl From<RuleArguments> for Rule {
    fn from(arguments: RuleArguments) -> Self {
        let then = match arguments.effect {
            Kind::TooManyRequests => Effect::TooManyRequests {
                retry_after: arguments.amount,
            },
            Kind::InternalError => Effect::InternalError,
            Kind::Gone => Effect::Gone,
            Kind::Delay => Effect::Delay {
                milliseconds: arguments.amount,
            },
            Kind::Hangup => Effect::Hangup,
        };
        let when = Match {
            method: arguments.method,
            path_prefix: arguments.path_prefix,
            user: arguments.user,
            watch: arguments.watch,
        };
        Self {
            when,
            then,
            percent: arguments.percent,
            times: arguments.times,
        }
    }
}

pub(super) fn act(faults: &Faults<'_>, action: FaultAction) -> Result<()> {
    match action {
        FaultAction::On => faults.enable(true)?,
        FaultAction::Off => faults.enable(false)?,
        FaultAction::Add(arguments) => {
            let mut rules = faults.rules();
            rules.push(arguments.into());
            faults.set(rules)?;
        }
        FaultAction::Clear => faults.set(Vec::new())?,
        FaultAction::CutWatches => faults.cut_watches()?,
        FaultAction::Show => {
            let rules = serde_json::to_string_pretty(&faults.rules()).context("rules as JSON")?;
            let tally = faults.tally();
            println!(
                "{rules}\n{} of {} requests hit",
                tally.hits(),
                tally.requests
            );
        }
    }
    Ok(())
}
