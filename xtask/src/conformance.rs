//! `./dev conformance SUITE`: Kubernetes' own end-to-end specs against the platform in the lab.
//!
//! The specs come from the suite of the lab's Kubernetes version, unchanged. What is left out is named with its reason in
//! the suite's file; `docs/conformance.md` repeats it for readers. [`cilium_cli`] is the one suite that is not Kubernetes'.

pub mod certified;
pub mod cilium_cli;
pub mod live;
pub mod netpol;
pub mod nodes;
pub mod plan;
pub mod report;
pub mod runner;
pub mod services;
pub mod subset;
pub mod suite;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::{process, programs, up};
use plan::Plan;
use report::Report;
use suite::Suite;

/// A cluster of its own, so that the one somebody works with is not filled with the specs' namespaces.
const CLUSTER: &str = "conformance";

/// Arguments of `./dev conformance`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Which specs.
    #[arg(value_enum)]
    suite: suite::Name,
    /// Only the suite's specs whose name matches this regular expression (Go's syntax).
    #[arg(long, value_name = "RE")]
    focus: Option<String>,
    /// Specs that run at the same time. More than the machine's processors only brings timeouts.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    parallel: u8,
    /// Minutes after which the run is broken off.
    #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
    /// Print the names of the specs and run none.
    #[arg(long)]
    list: bool,
    /// Take the cluster as it is: neither build nor install anything on it.
    #[arg(long)]
    as_is: bool,
    /// Take the cluster down at the end, whatever the result. Without it the cluster stays for a look.
    #[arg(long)]
    down: bool,
}

/// How a plan is run.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Specs at the same time.
    pub parallel: u8,
    /// When the run is broken off.
    pub limit: Duration,
}

/// Brings the cluster up, runs the suite, and fails unless every spec that ran passed.
pub fn run(arguments: &Arguments) -> Result<()> {
    match arguments.suite.suite() {
        Some(suite) => run_specs(arguments, suite),
        None => cilium_cli::run(arguments),
    }
}

fn run_specs(arguments: &Arguments, suite: &'static Suite) -> Result<()> {
    build()?;
    let plan = Plan::of_suite(suite, arguments.focus.as_deref())?;
    if arguments.list {
        plan.print();
        return Ok(());
    }
    let lab = Lab::from_environment_or(CLUSTER)?;
    let result = prepare(&lab, suite.workers, arguments.as_is).and_then(|()| {
        nodes::into_zones(&lab)?;
        let pace = Pace {
            parallel: arguments.parallel,
            limit: Duration::from_secs(arguments.timeout * 60),
        };
        verdict(suite.name, &plan, &run_plan(&lab, suite, &plan, pace)?)
    });
    leave(&lab, arguments, result)
}

fn leave(lab: &Lab, arguments: &Arguments, result: Result<()>) -> Result<()> {
    if arguments.down {
        return result.and(take_down(lab));
    }
    println!("\n{}", looking_around(lab));
    result
}

/// Builds the suite and its runner, once per version.
pub fn build() -> Result<()> {
    programs::build(&["conformance"])
}

fn prepare(lab: &Lab, workers: u32, as_is: bool) -> Result<()> {
    if as_is {
        if !lab.exists() {
            bail!(
                "cluster {} is not up; leave --as-is away and it is made",
                lab.name()
            );
        }
        return Ok(());
    }
    lab.build()?;
    let arguments = up::Arguments {
        workers,
        ..up::Arguments::default()
    };
    up::bring_everything_up(lab, &arguments)
}

/// Runs the specs of a plan and reads the runner's report.
fn run_plan(lab: &Lab, suite: &Suite, plan: &Plan, pace: Pace) -> Result<Report> {
    let folder = runner::fresh_folder(lab, suite.name)?;
    let nodes = lab.workers()?.len();
    let started = Instant::now();
    runner::run(lab, plan, pace, nodes, &folder)?;
    let report = Report::read(&folder, plan, started.elapsed());
    report.with_context(|| {
        format!(
            "the runner left no report; what it printed is in {}",
            folder.join(runner::LOG).display()
        )
    })
}

fn verdict(name: &str, plan: &Plan, report: &Report) -> Result<()> {
    println!("\n{}", report.table(plan));
    match report.complaint() {
        None => Ok(()),
        Some(complaint) => bail!("{name}: {complaint}"),
    }
}

fn looking_around(lab: &Lab) -> String {
    let name = lab.name();
    format!(
        "cluster {name} stays: GLOONET_LAB_CLUSTER={name} ./dev kubectl get pods -A   GLOONET_LAB_CLUSTER={name} ./dev down"
    )
}

fn take_down(lab: &Lab) -> Result<()> {
    process::run(lab.command().arg("down").stdout(std::io::stderr()))
}
