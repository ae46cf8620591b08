//! The gate that runs everything on a real cluster.

use std::thread;

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use super::suites::Suites;
use super::tally::{self, Tally};
use crate::conformance::subset;
use crate::lab::{CLUSTER_VARIABLE, Lab};
use crate::{process, programs, up};

/// Clusters of their own, so that the one somebody works with stays as it is. The others are named after it.
const CLUSTER: &str = "test";
/// The one that manages others.
const FLEET: &str = "fleet";
/// It and those it manages.
const CLUSTERS: u32 = 3;
/// The one from which things are taken away.
const OUTAGES: &str = "outages";
/// The one that is asked what it tells.
const REPORTS: &str = "reports";
/// One test after the other.
const ALONE: &str = "--test-threads=1";
/// How many tests of users' behaviour run at once: they wait more than they work.
const AT_ONCE: u32 = 3;
/// Between one new agent and the next.
const SOAK_SECONDS: u16 = 3;

/// What runs on a cluster of its own, or on several.
type Part = fn(&Lab, &Suites, &mut Tally) -> Result<()>;

/// Runs everything on real clusters, and takes them down whatever happened.
///
/// The tests mostly wait, so they go on in three rows beside each other, which take about the same time.
pub fn run(suites: &Suites, tally: &mut Tally) -> Result<()> {
    let lab = Lab::named(CLUSTER)?;
    let fleet = Lab::named(&lab.beside(FLEET))?;
    let outage = Lab::named(&lab.beside(OUTAGES))?;
    let report = Lab::named(&lab.beside(REPORTS))?;
    // What a run before this one left behind when it was killed.
    every([&lab, &fleet, &outage, &report].map(take_down))?;
    let own = lab_itself(suites, tally);
    let rows: [&[(&Lab, Part)]; 3] = [
        &[(&lab, one_cluster)],
        &[(&fleet, several_clusters), (&report, reports)],
        &[(&outage, outages)],
    ];
    let [first, second, third] = thread::scope(|scope| {
        rows.map(|parts| scope.spawn(|| row(parts, suites)))
            .map(|row| ended_row(row.join(), tally))
    });
    every([own, first, second, third])
}

/// One part after the other, also when one before it failed.
fn row(parts: &[(&Lab, Part)], suites: &Suites) -> (Result<()>, Tally) {
    let mut tally = Tally::default();
    let results = (parts.iter())
        .map(|(lab, part)| part(lab, suites, &mut tally))
        .collect::<Vec<_>>();
    (every(results), tally)
}

fn ended_row(ended: thread::Result<(Result<()>, Tally)>, tally: &mut Tally) -> Result<()> {
    let (result, found) = ended.map_err(|_| anyhow!("the thread of a row panicked"))?;
    tally.append(found);
    result
}

/// Brings the platform up as a user would, and runs the suites that need one cluster.
fn one_cluster(lab: &Lab, suites: &Suites, tally: &mut Tally) -> Result<()> {
    let result = one(lab).and_then(|()| {
        // They are built beside the clusters; on a new machine that takes longer than to get here.
        programs::build(&super::LATER)?;
        // Before the project's own tests: the last of those uninstalls the platform.
        let upstream = subset::run(lab, tally);
        every([upstream, tests(lab, suites, tally)])
    });
    ended(lab, result)
}

/// The same with clusters for it to manage.
fn several_clusters(lab: &Lab, suites: &Suites, tally: &mut Tally) -> Result<()> {
    let all = up::Arguments {
        clusters: CLUSTERS,
        built: true,
        ..up::Arguments::default()
    };
    let result = up::bring_everything_up(lab, &all).and_then(|()| {
        let what = "several clusters under one management server";
        suite(lab, suites, ("fleet", &[ALONE], what, 300), tally)
    });
    ended(lab, result)
}

/// What goes on while something is away.
fn outages(lab: &Lab, suites: &Suites, tally: &mut Tally) -> Result<()> {
    let result = one(lab).and_then(|()| {
        let what = "what goes on while something is away";
        suite(lab, suites, ("outages", &[ALONE], what, 1180), tally)
    });
    ended(lab, result)
}

/// What it tells of itself, and whom.
fn reports(lab: &Lab, suites: &Suites, tally: &mut Tally) -> Result<()> {
    let result = one(lab).and_then(|()| {
        let what = "what a platform tells, and whom";
        suite(lab, suites, ("reports", &[ALONE], what, 840), tally)
    });
    ended(lab, result)
}

/// One cluster with everything on it.
fn one(lab: &Lab) -> Result<()> {
    let arguments = up::Arguments {
        built: true,
        ..up::Arguments::default()
    };
    up::bring_everything_up(lab, &arguments)?;
    soak_briefly(lab)
}

/// Takes a cluster down, after a look at it if something failed.
fn ended(lab: &Lab, result: Result<()>) -> Result<()> {
    if result.is_err() {
        show(lab);
    }
    every([result, take_down(lab)])
}

/// What any of them complains of.
pub(super) fn every(results: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let complaints: Vec<String> = results
        .into_iter()
        .filter_map(|result| result.err().map(|error| format!("{error:#}")))
        .collect();
    match complaints.as_slice() {
        [] => Ok(()),
        some => bail!("{}", some.join("\n")),
    }
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
    command.env("GLOONET_LAB", "1").arg(ALONE);
    tally::counted("lab-live", "the lab's own tests", 120, &mut command, tally)
}

/// Every suite runs, also when one before it failed. Dashboards are full of what users did before.
fn tests(lab: &Lab, suites: &Suites, tally: &mut Tally) -> Result<()> {
    let beside = format!("--test-threads={AT_ONCE}");
    let rows: [Row<'_>; 4] = [
        (
            "dry_run",
            &["--ignored", ALONE],
            "rendered objects against the API server",
            10,
        ),
        ("shared", &[&beside], "what users do", 180),
        (
            "live_dashboards",
            &["--ignored", ALONE],
            "every panel against Prometheus",
            60,
        ),
        ("alone", &[ALONE], "what befalls a platform", 900),
    ];
    every(rows.map(|row| suite(lab, suites, row, tally)))
}

/// Name, arguments, what is tested, and the seconds it usually takes.
type Row<'a> = (&'a str, &'a [&'a str], &'a str, u64);

/// One suite against a cluster.
fn suite(
    lab: &Lab,
    suites: &Suites,
    (name, arguments, what, usual): Row<'_>,
    tally: &mut Tally,
) -> Result<()> {
    let mut command = suites.command(name)?;
    command
        .args(arguments)
        .env(CLUSTER_VARIABLE, lab.name())
        .env("KUBECONFIG", lab.kubeconfig());
    tally::counted(&format!("lab-{name}"), what, usual, &mut command, tally)
}

fn take_down(lab: &Lab) -> Result<()> {
    up::clusters::down(lab, CLUSTERS)?;
    process::run(lab.command().arg("down").stdout(std::io::stderr()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_of_them_complains_of_is_said() {
        every([Ok(()), Ok(())]).unwrap();
        let failed = |what: &'static str| Err(anyhow!("refused").context(what));
        let said = every([failed("first"), Ok(()), failed("third")]).unwrap_err();
        assert_eq!(said.to_string(), "first: refused\nthird: refused");
    }
}
