//! Whether the pod network carries packets from node to node and through Services, as the agents found.

use std::collections::{BTreeMap, BTreeSet};

use super::{DATAPATH, WORKLOAD};
use crate::carried::{KNOWN, NODE_LOST, NODE_NEW, SERVICE_LOST, SERVICE_NEW};
use crate::health::worst;
use crate::{Health, Observed, PodObservation, ProbeOutcome, ProbeResult};

/// Attempts in a row, about fifteen seconds, after which it is no lost packet and no agent that is being replaced.
const LASTING: f64 = 3.0;

/// The worst that any agent found. A node whose own agent is not ready is that agent's matter.
pub(super) fn judge(observed: &Observed) -> Health {
    let is_ready = |pod: &&PodObservation| pod.ready && !pod.deleting && WORKLOAD.owns(pod);
    let agents = observed.pods.iter().filter(is_ready);
    let nodes: BTreeMap<String, &str> = agents
        .filter_map(|pod| {
            let target = format!("{}/{}", pod.namespace, pod.name);
            Some((target, pod.node.as_deref()?))
        })
        .collect();
    let ready: BTreeSet<&str> = nodes.values().copied().collect();
    let judged = |result: &ProbeResult| match &result.outcome {
        ProbeOutcome::Answered { values } if result.probe == DATAPATH => {
            Some(of_agent(nodes.get(&result.target)?, values, &ready))
        }
        _ => None,
    };
    let probes = observed.probes.iter();
    probes.filter_map(judged).fold(Health::healthy(""), worst)
}

/// What the agent of `node` says, of nodes with an agent that is ready.
fn of_agent(node: &str, values: &BTreeMap<String, f64>, nodes: &BTreeSet<&str>) -> Health {
    let Some(known) = values.get(KNOWN) else {
        // It does not probe.
        return Health::healthy("");
    };
    let mut worst_way = Health::healthy("");
    for (name, failures) in values {
        let (other, worked) = match (name.strip_prefix(NODE_NEW), name.strip_prefix(NODE_LOST)) {
            (Some(other), _) => (other, false),
            (None, Some(other)) => (other, true),
            (None, None) => continue,
        };
        if nodes.contains(other) {
            let what = format!("node {other} on the pod network");
            worst_way = worst(worst_way, way(node, &what, *failures, worked));
        }
    }
    if *known < count(nodes) {
        let message = format!("node {node} knows {known} of {} nodes", nodes.len());
        worst_way = worst(worst_way, Health::progressing(message).standing());
    }
    worst(worst_way, service(node, values))
}

fn service(node: &str, values: &BTreeMap<String, f64>) -> Health {
    let what = format!(
        "Service {}/{}",
        cilium_api::names::NAMESPACE,
        cilium_api::names::CLUSTER_HEALTH_SERVICE
    );
    match (values.get(SERVICE_NEW), values.get(SERVICE_LOST)) {
        (Some(failures), _) => way(node, &what, *failures, false),
        (None, Some(failures)) => way(node, &what, *failures, true),
        (None, None) => way(node, &what, 0.0, false),
    }
}

/// A way that worked is not given up for a packet that was lost. One that never did holds back what comes next, but takes nothing
/// from what stands: also an agent that was just replaced has tried nothing yet.
fn way(node: &str, what: &str, failures: f64, worked: bool) -> Health {
    if failures >= LASTING {
        return Health::degraded(format!(
            "node {node} does not reach {what}, {failures} times in a row: see `cilium-health status --probe` in its agent, and \
             open between nodes what docs/install.md lists"
        ));
    }
    if worked {
        return Health::healthy("");
    }
    Health::progressing(format!("node {node} has not reached {what} yet")).standing()
}

fn count(nodes: &BTreeSet<&str>) -> f64 {
    f64::from(u32::try_from(nodes.len()).unwrap_or(u32::MAX))
}
