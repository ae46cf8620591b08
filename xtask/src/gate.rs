//! `./dev test`: every gate, in the order of what they cost, locally as in CI.
//!
//! All gates run even when one fails, except those that need what the failed one builds. The last line is in the form of
//! cargo's own test runner, over all tests of the run.

pub mod cargo;
pub mod platform;
pub mod tally;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::progress::human;
use crate::{arch, deny, ebpf, generate, nix, programs};
use tally::Tally;

/// Arguments of `./dev test`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Leave the lab out: no cluster is started. Minutes instead of a quarter of an hour.
    #[arg(long)]
    fast: bool,
}

/// What the gates have found so far.
#[derive(Debug, Default)]
struct Report {
    gates: Vec<(&'static str, Duration, Option<String>)>,
    tests: Tally,
}

impl Report {
    /// Runs one gate. Its tests are counted, also when it fails.
    fn gate(&mut self, name: &'static str, work: impl FnOnce(&mut Tally) -> Result<()>) -> bool {
        eprintln!("── {name}");
        let started = Instant::now();
        let result = work(&mut self.tests);
        let error = result.err().map(|error| format!("{error:#}"));
        if let Some(error) = &error {
            eprintln!("✗ {name}: {error}");
        }
        let passed = error.is_none();
        self.gates.push((name, started.elapsed(), error));
        passed
    }

    fn print(&self, took: Duration) -> Result<()> {
        println!();
        for (name, took, error) in &self.gates {
            let mark = if error.is_none() { "✓" } else { "✗" };
            println!("{mark} {name:<28} {:>14}", human(*took));
        }
        let failed: Vec<&str> = self
            .gates
            .iter()
            .filter(|(_, _, error)| error.is_some())
            .map(|(name, _, _)| *name)
            .collect();
        println!("\n{}", self.tests.line(failed.is_empty(), took));
        if !failed.is_empty() {
            bail!("gates failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

/// Runs the gates.
pub fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let mut report = Report::default();
    thread::scope(|scope| {
        // Go's builds fill the pauses in which cargo waits for one long crate.
        let programs = (!arguments.fast)
            .then(|| scope.spawn(|| programs::run(&programs::Arguments::default())));
        sources(&mut report);
        if let Some(programs) = programs {
            let built = report.gate("lab programs", |_| match programs.join() {
                Ok(result) => result,
                Err(_) => bail!("the build of the lab's programs panicked"),
            });
            if built {
                report.gate("lab", platform::run);
            }
        }
    });
    report.print(started.elapsed())
}

/// Gates that need no cluster.
fn sources(report: &mut Report) {
    report.gate("Cargo.lock", |_| cargo::lock_is_current());
    report.gate("format", |_| cargo::format());
    report.gate("clippy", |_| cargo::clippy());
    report.gate("dependencies", |_| deny::run(&deny::Arguments {}));
    report.gate("architecture", |_| arch::run(&arch::Arguments {}));
    report.gate("generated files, bundle", |_| {
        generate::run(&generate::Arguments { check: true })
    });
    report.gate("eBPF object", |_| {
        cargo::ebpf_toolchain()?;
        ebpf::run(&ebpf::Arguments { check: true })
    });
    report.gate("nix", |_| nix::run(&nix::Arguments {}));
    report.gate("unit and property tests", cargo::tests);
}
