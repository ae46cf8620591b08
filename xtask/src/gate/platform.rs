//! The gate that runs everything on real clusters.

use std::thread;

use anyhow::{Result, anyhow, bail};

use super::cargo::cargo;
use super::tally::{self, Tally};
use crate::conformance::subset;
use crate::lab::{CLUSTER_VARIABLE, Lab};
use crate::{image, process, programs, up};

/// Test modules that take the platform apart; whoever shares a cluster with them sees it broken. The last of them uninstalls.
const ROUGH: [&str; 8] = [
    "agent_restart::",
    "components_killed::",
    "drift::",
    "foreign_cni::",
    "leadership::",
    "objects_deleted::",
    "rights::",
    "uninstall::",
];

/// A cluster of its own, so that the one somebody works with stays as it is, and what runs on it one after the other.
struct Lane {
    cluster: &'static str,
    run: fn(&Lab, &mut Tally) -> Result<()>,
}

/// Side by side: a cluster under test waits far more than it computes.
const LANES: [Lane; 2] = [
    Lane {
        cluster: "calm",
        run: calm,
    },
    Lane {
        cluster: "rough",
        run: rough,
    },
];

/// Builds once, then runs every lane to its end, whatever happens in the others.
pub fn run(tally: &mut Tally) -> Result<()> {
    build()?;
    let ran: Vec<(Tally, Result<()>)> = thread::scope(|scope| {
        let lanes = LANES.map(|lane| scope.spawn(move || lane.on_its_cluster()));
        lanes
            .into_iter()
            .map(|lane| {
                let panicked = |_| (Tally::default(), Err(anyhow!("a lane of tests panicked")));
                lane.join().unwrap_or_else(panicked)
            })
            .collect()
    });
    let mut failures = Vec::new();
    for (counted, result) in ran {
        tally.join(counted);
        failures.extend(result.err().map(|error| format!("{error:#}")));
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(())
}

/// What the lanes share. Two cargos would wait for each other, and one of them would count as slow.
fn build() -> Result<()> {
    programs::run(&programs::Arguments::default())?;
    image::run(&image::Arguments::default())?;
    for package in ["gloonet-lab", "gloonet-catalog", "gloonet-e2e"] {
        let mut step =
            crate::progress::Step::start(package, "its tests", std::time::Duration::from_mins(1));
        let mut command = cargo(&["test", "--no-run", "--package", package])?;
        process::run_logged(&mut command, &format!("gate-{package}"), &mut step)?;
        step.done();
    }
    Lab::from_environment()?.build()
}

impl Lane {
    fn on_its_cluster(&self) -> (Tally, Result<()>) {
        let mut tally = Tally::default();
        let result = Lab::named(self.cluster).and_then(|lab| {
            // What a run before this one left behind when it was killed.
            take_down(&lab)?;
            let result = (self.run)(&lab, &mut tally);
            if result.is_err() {
                show(&lab);
            }
            result.and(take_down(&lab))
        });
        (tally, result)
    }
}

/// What leaves the platform as it was.
fn calm(lab: &Lab, tally: &mut Tally) -> Result<()> {
    bring_up(lab)?;
    let upstream = subset::run(lab, tally);
    let rendered = rendered_objects(lab, tally);
    let mut filters = vec!["--lib", "--test", "live", "--", "--test-threads=1"];
    for module in ROUGH {
        filters.extend(["--skip", module]);
    }
    end_to_end(lab, "calm", &filters, tally)
        .and(rendered)
        .and(upstream)
}

/// What does not, and the lab's own tests, which make and remove clusters of their own.
fn rough(lab: &Lab, tally: &mut Tally) -> Result<()> {
    bring_up(lab)?;
    let mut filters = vec!["--test", "live", "--", "--test-threads=1"];
    filters.extend(ROUGH);
    end_to_end(lab, "rough", &filters, tally).and(lab_itself(tally))
}

fn bring_up(lab: &Lab) -> Result<()> {
    let arguments = up::Arguments {
        built: true,
        ..up::Arguments::default()
    };
    up::bring_everything_up(lab, &arguments)
}

/// What a person would look at first, because the cluster is gone when they read this.
fn show(lab: &Lab) {
    let pods = ["get", "pods", "--all-namespaces", "-o", "wide"];
    let events = [
        "get",
        "events",
        "--all-namespaces",
        "--field-selector",
        "type!=Normal",
        "--sort-by",
        ".lastTimestamp",
    ];
    let operator = "app.kubernetes.io/name=gloonet-operator";
    let logs = [
        "logs",
        "--namespace",
        "gloonet-system",
        "--selector",
        operator,
        "--prefix",
        "--tail=30",
    ];
    for arguments in [&pods[..], &events[..], &logs[..]] {
        eprintln!("── kubectl {}", arguments.join(" "));
        // A cluster that does not answer is the finding itself.
        let shown = lab.kubectl().map(|mut kubectl| {
            kubectl.args(arguments).arg("--request-timeout=20s");
            process::run(kubectl.stdout(std::io::stderr()))
        });
        if let Ok(Err(error)) | Err(error) = shown {
            eprintln!("{error:#}");
        }
    }
}

/// The lab's own live tests make and remove clusters of their own.
fn lab_itself(tally: &mut Tally) -> Result<()> {
    let mut command = cargo(&[
        "test",
        "--package",
        "gloonet-lab",
        "--test",
        "live",
        "--",
        "--test-threads=1",
    ])?;
    command.env("GLOONET_LAB", "1");
    tally::counted("lab-live", "the lab's own tests", 120, &mut command, tally)
}

/// The catalog's tests that ask a real API server and a real Prometheus.
fn rendered_objects(lab: &Lab, tally: &mut Tally) -> Result<()> {
    let mut command = cargo(&[
        "test",
        "--package",
        "gloonet-catalog",
        "--no-fail-fast",
        "--test",
        "dry_run",
        "--test",
        "live_metrics",
        "--",
        "--ignored",
        "--test-threads=1",
    ])?;
    command.env("KUBECONFIG", lab.kubeconfig());
    tally::counted(
        "lab-catalog",
        "rendered objects against the API server",
        60,
        &mut command,
        tally,
    )
}

/// The project's own tests against the cluster; `filters` are what comes after the package.
fn end_to_end(lab: &Lab, lane: &str, filters: &[&str], tally: &mut Tally) -> Result<()> {
    let mut command = cargo(&["test", "--package", "gloonet-e2e", "--no-fail-fast"])?;
    command
        .args(filters)
        .env(CLUSTER_VARIABLE, lab.name())
        .env("KUBECONFIG", lab.kubeconfig());
    let name = format!("lab-{lane}");
    tally::counted(&name, "against the cluster", 600, &mut command, tally)
}

fn take_down(lab: &Lab) -> Result<()> {
    process::run(lab.command().arg("down").stdout(std::io::stderr()))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_rough_module_exists_and_only_one_cluster_runs_it() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testing/e2e/tests/live.rs");
        let modules = std::fs::read_to_string(path).unwrap();
        for module in ROUGH {
            let declared = format!("mod {};", module.trim_end_matches("::"));
            assert!(modules.lines().any(|line| line == declared), "{declared}");
        }
    }
}
