//! `./dev test`: every gate, in the order of what they cost, locally as in CI.
//!
//! All gates run even when one fails, except those that need what the failed one builds. The last line is in the form of
//! cargo's own test runner, over all tests of the run.

pub mod cargo;
pub mod platform;
pub mod suites;
pub mod tally;

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::progress::human;
use crate::{arch, deny, ebpf, generate, image, nix, process, programs};
use suites::Suites;
use tally::Tally;

/// Programs of the lab that no cluster runs and some tests ask.
const LATER: [&str; 2] = ["hubble", "conformance"];

/// Arguments of `./dev test`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Leave the lab out: no cluster is started. Minutes instead of three quarters of an hour.
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

    /// Adds what was found beside.
    fn append(&mut self, other: Self) {
        self.gates.extend(other.gates);
        self.tests.append(other.tests);
    }

    fn print(&self, took: Duration) -> Result<()> {
        println!();
        for (name, took, error) in &self.gates {
            let mark = if error.is_none() { "✓" } else { "✗" };
            println!("{mark} {name:<28} {:>14}", human(*took));
        }
        let mut failed = Vec::new();
        for (name, _, error) in &self.gates {
            // Once more: who sees only the end of a long output shall see why.
            if let Some(error) = error {
                println!("\n✗ {name}: {error}");
                failed.push(*name);
            }
        }
        println!("\n{}", self.tests.line(failed.is_empty(), took));
        if !failed.is_empty() {
            bail!("gates failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

/// Runs the gates.
///
/// What the clusters need is built first. Then the gates that only compute run beside the clusters, which mostly wait; they
/// give way to them, so that a cluster's time limits mean what they say.
pub fn run(arguments: &Arguments) -> Result<()> {
    let started = Instant::now();
    let mut report = Report::default();
    thread::scope(|scope| {
        if arguments.fast {
            sources(&mut report);
            computing(&mut report);
            return;
        }
        // Go's builds fill the pauses in which cargo waits for one long crate.
        let programs = scope.spawn(|| programs::run(&programs::Arguments::default()));
        sources(&mut report);
        let ready = prepare(&mut report, || joined(programs.join()));
        let beside = scope.spawn(computing_beside);
        if let Some(suites) = ready {
            report.gate("lab", |tally| platform::run(&suites, tally));
        }
        let beside = joined(beside.join().map(Ok)).unwrap_or_default();
        report.append(beside);
    });
    report.print(started.elapsed())
}

/// Quick looks at the sources.
fn sources(report: &mut Report) {
    report.gate("Cargo.lock", |_| cargo::lock_is_current());
    report.gate("format", |_| cargo::format());
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
}

/// Everything the clusters need; nothing if some of it could not be had.
fn prepare(report: &mut Report, programs: impl FnOnce() -> Result<()>) -> Option<Suites> {
    let mut suites = None;
    report.gate("test programs", |_| {
        suites = Some(Suites::build()?);
        Ok(())
    });
    let images = report.gate("images", |_| {
        image::binaries::build_all()?;
        programs()?;
        image::run(&image::Arguments::default())
    });
    suites.filter(|_| images)
}

/// Gates that need nothing but processors.
fn computing(report: &mut Report) {
    report.gate("clippy", |_| cargo::clippy());
    report.gate("unit and property tests", cargo::tests);
}

/// The same beside a cluster, after the programs that its later tests need.
fn computing_beside() -> Report {
    let mut report = Report::default();
    report.gate("programs of later tests", |_| {
        give_way()?;
        programs::build(&LATER)
    });
    computing(&mut report);
    report
}

/// Lowers the priority of this thread and of all it starts.
fn give_way() -> Result<()> {
    let thread = ::nix::unistd::gettid().to_string();
    process::output(Command::new("renice").args(["-n", "19", "-p", &thread])).map(drop)
}

fn joined<T>(ended: thread::Result<Result<T>>) -> Result<T> {
    ended.unwrap_or_else(|_| bail!("a thread of the gate panicked"))
}
