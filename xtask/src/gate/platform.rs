//! The gate that runs everything on a real cluster.

use std::process::Command;

use anyhow::Result;
use serde_json::json;

use super::suites::Suites;
use super::tally::{self, Tally};
use crate::conformance::subset;
use crate::lab::{CLUSTER_VARIABLE, Lab};
use crate::{process, up};

/// A cluster of its own, so that the one somebody works with stays as it is.
const CLUSTER: &str = "test";
/// It and those it manages.
const CLUSTERS: u32 = 3;
/// How many tests of users' behaviour run at once: they wait more than they work.
const AT_ONCE: u32 = 3;
/// Between one new agent and the next.
const SOAK_SECONDS: u16 = 3;

/// Brings the platform up as a user would, runs the tests against it, and takes it down whatever happened.
pub fn run(suites: &Suites, tally: &mut Tally) -> Result<()> {
    let lab = Lab::named(CLUSTER)?;
    // What a run before this one left behind when it was killed.
    take_down(&lab)?;
    let own = lab_itself(suites, tally);
    let all = up::Arguments {
        clusters: CLUSTERS,
        built: true,
        ..up::Arguments::default()
    };
    let result = up::bring_everything_up(&lab, &all).and_then(|()| {
        let fleet = fleet(&lab, suites, tally);
        if fleet.is_err() {
            show(&lab);
        }
        // The machine is for one cluster from here on.
        up::clusters::down(&lab, CLUSTERS)?;
        forget_further(&lab)?;
        soak_briefly(&lab)?;
        // Before the project's own tests: the last of those uninstalls the platform.
        let upstream = subset::run(&lab, tally);
        tests(&lab, suites, tally).and(upstream).and(fleet)
    });
    if result.is_err() {
        show(&lab);
    }
    let taken_down = take_down(&lab);
    own.and(result).and(taken_down)
}

/// Several clusters under one management server.
fn fleet(lab: &Lab, suites: &Suites, tally: &mut Tally) -> Result<()> {
    let mut command = against(lab, suites, "fleet")?;
    command.arg("--test-threads=1");
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

/// A new agent is given half a minute to go wrong before the next one follows. Tests that have agents replaced look at them by
/// themselves and would wait that long for each node. Holds until the last test, which applies the lab's own GlooNetwork anew.
fn soak_briefly(lab: &Lab) -> Result<()> {
    let spec = json!({"spec": {"cilium": {"rollout": {"soakSeconds": SOAK_SECONDS}}}});
    let patch = ["patch", "gloonetwork", "default", "--type=merge", "--patch"];
    process::output(lab.kubectl()?.args(patch).arg(spec.to_string()))?;
    let taken = [
        "wait",
        "--for=condition=Progressing=False",
        "--timeout=180s",
    ];
    process::output(lab.kubectl()?.args(taken).arg("gloonetwork/default")).map(drop)
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
fn lab_itself(suites: &Suites, tally: &mut Tally) -> Result<()> {
    let mut command = suites.command("live")?;
    command.env("GLOONET_LAB", "1").arg("--test-threads=1");
    tally::counted("lab-live", "the lab's own tests", 120, &mut command, tally)
}

/// Every suite runs, also when one before it failed. Dashboards are full of what users did before.
fn tests(lab: &Lab, suites: &Suites, tally: &mut Tally) -> Result<()> {
    let beside = format!("--test-threads={AT_ONCE}");
    let alone = "--test-threads=1";
    let rows: [(&str, &[&str], &str, u64); 4] = [
        (
            "dry_run",
            &["--ignored", alone],
            "rendered objects against the API server",
            10,
        ),
        ("shared", &[&beside], "what users do", 180),
        (
            "live_dashboards",
            &["--ignored", alone],
            "every panel against Prometheus",
            60,
        ),
        ("alone", &[alone], "what befalls a platform", 2100),
    ];
    let mut result = Ok(());
    for (name, arguments, what, usual) in rows {
        let mut command = against(lab, suites, name)?;
        command.args(arguments);
        let log = format!("lab-{name}");
        result = result.and(tally::counted(&log, what, usual, &mut command, tally));
    }
    result
}

/// A suite that finds the cluster.
fn against(lab: &Lab, suites: &Suites, name: &str) -> Result<Command> {
    let mut command = suites.command(name)?;
    command
        .env(CLUSTER_VARIABLE, lab.name())
        .env("KUBECONFIG", lab.kubeconfig());
    Ok(command)
}

fn take_down(lab: &Lab) -> Result<()> {
    up::clusters::down(lab, CLUSTERS)?;
    process::run(lab.command().arg("down").stdout(std::io::stderr()))
}
