//! The gate that runs everything on a real cluster.

use std::process::Command;

use anyhow::Result;

use super::cargo::cargo;
use super::tally::{self, Tally};
use crate::conformance::subset;
use crate::lab::{CLUSTER_VARIABLE, Lab};
use crate::{process, up};

/// A cluster of its own, so that the one somebody works with stays as it is.
const CLUSTER: &str = "test";
/// It and those it manages.
const CLUSTERS: u32 = 3;

/// Brings the platform up as a user would, runs the tests against it, and takes it down whatever happened.
pub fn run(tally: &mut Tally) -> Result<()> {
    let lab = Lab::named(CLUSTER)?;
    lab.build()?;
    // What a run before this one left behind when it was killed.
    take_down(&lab)?;
    let own = lab_itself(tally);
    let all = up::Arguments {
        clusters: CLUSTERS,
        ..up::Arguments::default()
    };
    let result = up::bring_everything_up(&lab, &all).and_then(|()| {
        let fleet = fleet(&lab, tally);
        if fleet.is_err() {
            show(&lab);
        }
        // The machine is for one cluster from here on.
        up::clusters::down(&lab, CLUSTERS)?;
        forget_further(&lab)?;
        // Before the project's own tests: the last of those uninstalls the platform.
        let upstream = subset::run(&lab, tally);
        tests(&lab, tally).and(upstream).and(fleet)
    });
    if result.is_err() {
        show(&lab);
    }
    let taken_down = take_down(&lab);
    own.and(result).and(taken_down)
}

/// Several clusters under one management server.
fn fleet(lab: &Lab, tally: &mut Tally) -> Result<()> {
    let mut command = end_to_end("fleet")?;
    against(lab, &mut command);
    let what = "several clusters under one management server";
    tally::counted("lab-fleet", what, 300, &mut command, tally)
}

/// The clusters that went are no longer the management server's.
fn forget_further(lab: &Lab) -> Result<()> {
    for (name, _) in up::clusters::workloads(lab, CLUSTERS)? {
        let mut kubectl = lab.kubectl()?;
        kubectl.args(["delete", "kubernetescluster", name]);
        process::output(kubectl.args(["--namespace", "gloo-mesh"]))?;
    }
    Ok(())
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

fn tests(lab: &Lab, tally: &mut Tally) -> Result<()> {
    let rendered = rendered_objects(lab, tally);
    let mut command = end_to_end("live")?;
    against(lab, &mut command);
    let live = tally::counted("lab-tests", "against the cluster", 600, &mut command, tally);
    rendered.and(live)
}

fn against(lab: &Lab, command: &mut Command) {
    command
        .env(CLUSTER_VARIABLE, lab.name())
        .env("KUBECONFIG", lab.kubeconfig());
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

/// One of the e2e crate's two suites.
fn end_to_end(suite: &str) -> Result<Command> {
    cargo(&[
        "test",
        "--package",
        "gloonet-e2e",
        "--no-fail-fast",
        "--test",
        suite,
        "--",
        "--test-threads=1",
    ])
}

fn take_down(lab: &Lab) -> Result<()> {
    up::clusters::down(lab, CLUSTERS)?;
    process::run(lab.command().arg("down").stdout(std::io::stderr()))
}
