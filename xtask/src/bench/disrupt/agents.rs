//! What is done to the agents.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::{other_build, programs};
use crate::bench::node;
use crate::lab::Lab;
use crate::process;

const NAMESPACE: &str = "kube-system";
const SELECTOR: &str = "k8s-app=cilium";
const GLOO_NETWORK: &str = "default";
const IMAGE: &str = "cilium-agent";
const ROLLED: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(500);
/// Where an agent keeps its programs' links and maps.
const PINS: &str = "/sys/fs/bpf/gloonet";

/// One thing that happens to every agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// SIGKILL, and another pod.
    Kill,
    /// Another image, in the operator's own way, with other kernel programs whose maps have another layout.
    Upgrade,
    /// The image of before, and another layout again.
    RollBack,
    /// As `Kill`, but without what an agent leaves for the next one.
    KeepNothing,
}

impl Fault {
    /// Does it, and waits until every agent is ready again.
    pub(super) fn inflict(self, lab: &Lab) -> Result<()> {
        match self {
            Self::Kill => kill(lab, "true"),
            Self::KeepNothing => kill(lab, &format!("rm -r {PINS}/links {PINS}/maps-*")),
            Self::Upgrade => roll_to(lab, Some(other_build::REFERENCE)),
            Self::RollBack => roll_to(lab, None),
        }
    }
}

/// Rolls the agents to an image, or to that of the release.
fn roll_to(lab: &Lab, image: Option<&str>) -> Result<()> {
    let before = programs::attached(lab)?;
    everywhere(lab, &disown())?;
    use_image(lab, image)?;
    rolled(lab, |runs| {
        (runs == other_build::REFERENCE) == image.is_some()
    })?;
    programs::require_others(&before, &programs::attached(lab)?)
}

/// What runs is of another layout to the next agent, which so has to fill maps of its own beside it. No release has
/// layout 0.
fn disown() -> String {
    format!(
        "cd {PINS}; rm -rf maps-v0 live-v0; for kind in maps live; do mv $kind-v* $kind-v0; done"
    )
}

pub(super) fn everywhere(lab: &Lab, line: &str) -> Result<()> {
    for node in lab.nodes()? {
        node::shell(lab, &node, line)?;
    }
    Ok(())
}

/// A pod of its own follows at once; a container that was only restarted would wait longer after each time.
fn kill(lab: &Lab, also: &str) -> Result<()> {
    let before = pods(lab)?;
    everywhere(lab, &format!("pkill -KILL -x {IMAGE}; {also}"))?;
    let mut command = lab.kubectl()?;
    command.args(["delete", "pod", "--namespace", NAMESPACE]);
    command.args(["--selector", SELECTOR, "--force", "--grace-period=0"]);
    process::output(&mut command)?;
    ready(lab, |pod| !before.contains(&uid(pod)))
}

fn rolled(lab: &Lab, wanted: impl Fn(&str) -> bool) -> Result<()> {
    ready(lab, |pod| {
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        containers
            .filter_map(|container| container["image"].as_str())
            .all(&wanted)
    })
}

/// As many ready pods as nodes, all as wanted.
fn ready(lab: &Lab, wanted: impl Fn(&Value) -> bool) -> Result<()> {
    let nodes = lab.nodes()?.len();
    let begun = Instant::now();
    let mut seen = Vec::new();
    while begun.elapsed() < ROLLED {
        let found = lab.get(&["pods", "--namespace", NAMESPACE, "--selector", SELECTOR])?;
        let all = found["items"].as_array().cloned().unwrap_or_default();
        if all.len() == nodes && all.iter().all(|pod| is_ready(pod) && wanted(pod)) {
            return Ok(());
        }
        seen = all
            .iter()
            .map(|pod| pod["status"]["phase"].to_string())
            .collect();
        sleep(LOOK);
    }
    bail!("the agents of {nodes} nodes are not as wanted after {ROLLED:?}: {seen:?}")
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions
            .into_iter()
            .any(|one| one["type"] == "Ready" && one["status"] == "True")
}

fn uid(pod: &Value) -> String {
    pod["metadata"]["uid"].to_string()
}

fn pods(lab: &Lab) -> Result<Vec<String>> {
    let found = lab.get(&["pods", "--namespace", NAMESPACE, "--selector", SELECTOR])?;
    Ok(found["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(uid)
        .collect())
}

/// Has the GlooNetwork name an image, or none.
pub(super) fn use_image(lab: &Lab, reference: Option<&str>) -> Result<()> {
    let patch = json!({"spec": {"images": {"overrides": {IMAGE: reference}}}});
    let mut command = lab.kubectl()?;
    command.args(["patch", "glonet", GLOO_NETWORK, "--type=merge", "--patch"]);
    process::output(command.arg(patch.to_string())).map(drop)
}
