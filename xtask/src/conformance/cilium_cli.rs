//! `./dev conformance cilium`: what cilium-cli says of the platform, `cilium status --wait` and `cilium connectivity test`.
//!
//! cilium-cli chooses by itself which of its tests apply, and names those that do not. Left out besides is what this file lists.
//! Connections that must survive a restart of every agent are part of it: made first, judged with the rest.

pub mod live;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::live::Reader;
use super::plan::Plan;
use super::report::Report;
use super::{Arguments, leave, prepare, runner, verdict};
use crate::image::definition::mirrored;
use crate::lab::Lab;
use crate::{cilium, process};

const NAME: &str = "cilium";
/// Client pods are on two nodes.
const WORKERS: u32 = 2;
/// By it cilium-cli chooses tests: our own number would stand for a release before all of them.
const CILIUM_VERSION: &str = "1.20.2";
/// How long cilium-cli may wait for agents that settle.
const SETTLE: &str = "5m";

/// Images of the test's pods; flag, and reference without a mirror.
const IMAGES: [(&str, &str); 5] = [
    (
        "--curl-image",
        "lab.gloonet.local/gloonetwork/alpine-curl-stand-in:0.1.0",
    ),
    (
        "--json-mock-image",
        "lab.gloonet.local/gloonetwork/json-mock-stand-in:0.1.0",
    ),
    (
        "--echo-image",
        "lab.gloonet.local/gloonetwork/json-mock-stand-in:0.1.0",
    ),
    (
        "--test-conn-disrupt-image",
        "lab.gloonet.local/gloonetwork/connection-disruption-stand-in:0.1.0",
    ),
    (
        "--dns-test-server-image",
        "registry.k8s.io/coredns/coredns:v1.15.0",
    ),
];

const INTERNET: &str = "reaches hosts on the Internet, which the lab has no way to";

/// Regular expressions (Go's syntax) over `test/scenario`, and why what they match is not run.
const LEFT_OUT: [(&str, &str); 6] = [
    ("/pod-to-world", INTERNET),
    ("^no-policies/pod-to-cidr", INTERNET),
    ("^all-ingress-deny(-knp)?/pod-to-cidr", INTERNET),
    ("^to-cidr-external(-knp)?/pod-to-cidr", INTERNET),
    ("^client-egress-to-cidr-deny/pod-to-cidr", INTERNET),
    ("^client-egress-to-cidrgroup-deny", INTERNET),
];

/// Brings the cluster up and runs cilium-cli; fails unless every test that ran passed.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.list {
        for (pattern, reason) in LEFT_OUT {
            println!("# left out, {reason}: {pattern}");
        }
        println!("# cilium-cli names its tests when it runs them");
        return Ok(());
    }
    cilium::build()?;
    let lab = Lab::from_environment_or(super::CLUSTER)?;
    let result = prepare(&lab, WORKERS, arguments.as_is).and_then(|()| judge(&lab, arguments));
    leave(&lab, arguments, result)
}

fn judge(lab: &Lab, arguments: &Arguments) -> Result<()> {
    let folder = runner::fresh_folder(lab, NAME)?;
    let started = Instant::now();
    eprintln!("… cilium status --wait");
    let mut status = cilium::program(lab)?;
    process::run(status.args([
        "status",
        "--wait",
        "--interactive=false",
        "--wait-duration",
        SETTLE,
    ]))
    .context("cilium-cli finds the platform unwell")?;
    keep_connections_over_a_restart(lab, &folder)?;
    eprintln!("… cilium connectivity test; its pods are started first");
    let command = test(lab, arguments, &folder)?;
    let (reader, ended) = runner::to_its_end(command.into(), Reader::default(), &folder)?;
    let found = reader.end();
    let plan = Plan {
        specs: found.names(),
        left_out: LEFT_OUT
            .iter()
            .map(|(pattern, reason)| ((*pattern).to_owned(), *reason))
            .collect(),
    };
    let around = (!ended.success() && found.failed.is_empty())
        .then(|| format!("cilium-cli ended with {ended}; {} says why", runner::LOG));
    let report = Report {
        passed: found.passed.len(),
        failed: found.failed,
        skipped: found.skipped,
        around: around.into_iter().collect(),
        folder,
        took: started.elapsed(),
        ..Report::default()
    };
    verdict(NAME, &plan, &report)
}

/// Clients that keep one connection each are made, and then every agent is another one. The test proper counts who was interrupted.
fn keep_connections_over_a_restart(lab: &Lab, folder: &Path) -> Result<()> {
    eprintln!("… connections that are to outlive every agent; then all agents are restarted");
    let mut setup = connectivity(lab, folder)?;
    setup.arg("--conn-disrupt-test-setup");
    process::output(&mut setup).context("make the connections")?;
    let agents = [
        "--namespace",
        cilium_api::names::NAMESPACE,
        "--selector",
        cilium_api::names::AGENT_SELECTOR,
    ];
    process::output(lab.kubectl()?.args(["delete", "pods"]).args(agents))?;
    let rollout = ["rollout", "status", "daemonset", cilium_api::names::AGENT];
    process::output(
        lab.kubectl()?
            .args(rollout)
            .args(&agents[..2])
            .args(["--timeout", SETTLE]),
    )
    .context("wait for the agents after their restart")?;
    Ok(())
}

fn test(lab: &Lab, arguments: &Arguments, folder: &Path) -> Result<Command> {
    let limit = Duration::from_secs(arguments.timeout * 60);
    let mut command = connectivity(lab, folder)?;
    command
        .arg(format!("--timeout={}s", limit.as_secs()))
        .arg(format!("--test-concurrency={}", arguments.parallel))
        .arg(format!(
            "--junit-file={}",
            folder.join("junit_01.xml").display()
        ));
    for expression in filters(arguments.focus.as_deref())? {
        command.arg(format!("--test={expression}"));
    }
    Ok(command)
}

/// What both runs are told.
fn connectivity(lab: &Lab, folder: &Path) -> Result<Command> {
    let mut command = cilium::program(lab)?;
    command
        .current_dir(folder)
        .args(["connectivity", "test", "--include-conn-disrupt-test"])
        .arg(format!("--assume-cilium-version={CILIUM_VERSION}"))
        .arg(format!(
            "--conn-disrupt-test-restarts-path={}",
            folder.join("restarts.json").display()
        ))
        // Its client speaks without TLS, which the relay refuses.
        .args(["--hubble=false", "--ip-families=ipv4"]);
    for (flag, image) in IMAGES {
        command.arg(format!("{flag}={}", mirrored(image)));
    }
    Ok(command)
}

/// cilium-cli reads a list with commas and quotes as of a table, so neither may be in an expression.
fn filters(focus: Option<&str>) -> Result<Vec<String>> {
    let excluded = LEFT_OUT.iter().map(|(pattern, _)| format!("!{pattern}"));
    let all: Vec<String> = focus
        .map(str::to_owned)
        .into_iter()
        .chain(excluded)
        .collect();
    if let Some(wrong) = all.iter().find(|text| text.contains([',', '"'])) {
        bail!("{wrong:?}: cilium-cli takes no expression with a comma or a quotation mark");
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home;
    use crate::image::definition;

    #[test]
    fn what_is_left_out_is_told_to_cilium_cli_and_a_focus_comes_first() {
        let told = filters(Some("^client-ingress")).unwrap();
        assert_eq!(told[0], "^client-ingress");
        assert!(told.contains(&"!/pod-to-world".to_owned()));
        assert_eq!(told.len(), 1 + LEFT_OUT.len());
        assert!(filters(Some("a,b")).is_err());
    }

    #[test]
    fn every_image_of_the_test_is_one_the_lab_makes() {
        let made: Vec<String> = definition::read_all(&home::root().unwrap())
            .unwrap()
            .iter()
            .flat_map(definition::Definition::names)
            .collect();
        for (flag, image) in IMAGES {
            assert!(made.contains(&mirrored(image)), "{flag} {image}");
        }
    }
}
