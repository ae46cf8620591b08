//! `./dev up`: from sources to a cluster with everything on it, and what each part of the way took.

pub mod clusters;
pub mod install;
pub mod renew;

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use renew::Pods;

use crate::lab::Lab;
use crate::progress::human;
use crate::{image, process, programs};

/// Arguments of `./dev up`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Workers besides the control-plane node, for a new cluster.
    #[arg(long, default_value_t = 2)]
    pub workers: u32,
    /// Clusters in all: the first manages, further ones (east, west, north, south) are workload clusters registered with it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(clusters::MOST)))]
    pub clusters: u32,
    /// Only the cluster: install nothing on it, nodes stay NotReady.
    #[arg(long)]
    pub bare: bool,
    /// Build nothing: take programs and images as they are.
    #[arg(long)]
    pub built: bool,
    /// Seconds to wait for Available.
    #[arg(long, default_value_t = 600)]
    pub timeout: u64,
}

/// What each part took, in order.
#[derive(Debug, Default)]
struct Timeline {
    parts: Vec<(&'static str, Duration)>,
}

impl Timeline {
    fn part<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let started = Instant::now();
        let result = work();
        self.parts.push((name, started.elapsed()));
        result
    }

    /// `builds` is how many of the first parts only make artefacts.
    fn print(&self, builds: usize) {
        println!("\ntimeline");
        for (name, took) in &self.parts {
            println!("  {name:<28} {:>14}", human(*took));
        }
        let sum = |from: usize| self.parts.iter().skip(from).map(|(_, took)| *took).sum();
        println!(
            "  {:<28} {:>14}",
            "from built artefacts",
            human(sum(builds))
        );
        println!("  {:<28} {:>14}", "total", human(sum(0)));
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            workers: 2,
            clusters: 1,
            bare: false,
            built: false,
            timeout: 600,
        }
    }
}

/// Brings the cluster of the environment up and waits until every component is healthy.
pub fn run(arguments: &Arguments) -> Result<()> {
    bring_everything_up(&Lab::from_environment()?, arguments)?;
    println!("\nnext: ./dev kubectl get pods -A   ./dev gloonet status   ./dev logs   ./dev down");
    Ok(())
}

/// From sources to Available on the named cluster.
pub fn bring_everything_up(lab: &Lab, arguments: &Arguments) -> Result<()> {
    let mut timeline = Timeline::default();
    if !arguments.built {
        timeline.part(
            "programs",
            || programs::run(&programs::Arguments::default()),
        )?;
        timeline.part("images", || image::run(&image::Arguments::default()))?;
        timeline.part("lab program", || lab.build())?;
    }
    let builds = timeline.parts.len();
    bring_up(lab, arguments, &mut timeline)?;
    timeline.print(builds);
    Ok(())
}

fn bring_up(lab: &Lab, arguments: &Arguments, timeline: &mut Timeline) -> Result<()> {
    let further = clusters::workloads(lab, arguments.clusters)?;
    let outdated = timeline.part("cluster", || start(lab, arguments))?;
    timeline.part("load images", || load(lab, outdated))?;
    if !further.is_empty() {
        timeline.part("further clusters", || {
            further.iter().try_for_each(|(_, other)| {
                let outdated = start(other, arguments)?;
                load(other, outdated)?;
                process::run(lab.command().args(["join", other.name()]))
            })
        })?;
    }
    if arguments.bare {
        return Ok(());
    }
    timeline.part("install", || {
        install::operator(lab)?;
        install::gloonetwork(lab)
    })?;
    timeline.part("until Available", || wait(lab, arguments.timeout))?;
    if further.is_empty() {
        return Ok(());
    }
    let doors = clusters::open(lab)?;
    timeline.part("register clusters", || {
        further
            .iter()
            .try_for_each(|(name, other)| clusters::add(lab, name, other, doors))
    })?;
    timeline.part("until they are, too", || {
        let names: Vec<&str> = further.iter().map(|(name, _)| *name).collect();
        for (name, other) in &further {
            wait(other, arguments.timeout).with_context(|| format!("cluster {name}"))?;
        }
        clusters::wait(lab, &names, arguments.timeout)
    })
}

/// Brings the cluster up, with the changed images in it. The answer are the pods that ran older ones before.
fn start(lab: &Lab, arguments: &Arguments) -> Result<Pods> {
    let outdated = if lab.exists() {
        // One that does not answer yet is asked afterwards.
        renew::outdated_pods(lab).unwrap_or_default()
    } else {
        Pods::new()
    };
    let workers = arguments.workers.to_string();
    process::run(
        lab.command()
            .args(["up", "--workers", &workers])
            .stdout(std::io::stderr()),
    )?;
    Ok(outdated)
}

fn load(lab: &Lab, mut outdated: Pods) -> Result<()> {
    process::run(lab.command().arg("load").stdout(std::io::stderr()))?;
    for (namespace, names) in renew::outdated_pods(lab)? {
        outdated.entry(namespace).or_default().extend(names);
    }
    renew::restart(lab, &outdated)
}

fn wait(lab: &Lab, seconds: u64) -> Result<()> {
    let mut command: Command = lab.gloonet()?;
    command.args(["status", "--wait", "--timeout", &format!("{seconds}s")]);
    process::run(&mut command)
        .context("not Available; ./dev gloonet status says what is missing, ./dev logs why")
}
