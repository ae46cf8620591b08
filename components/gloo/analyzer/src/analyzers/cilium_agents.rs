//! How each Cilium agent is, and pods that have none.

use std::{collections::HashSet, sync::Arc};

use gloo_record::{
    CiliumAgents, Counts,
    cilium_agents::{Agent, Health},
};
use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::Pod};
use kube::{ResourceExt, api::DynamicObject};

use crate::{
    agents::Answer,
    pods,
    reader::{AnalyzeError, Reader},
};

/// Names of unmanaged pods that are told; the rest is a number.
const NAMED: usize = 100;
/// An endpoint is written some seconds after its pod runs.
const GRACE_SECONDS: i64 = 60;

pub(super) async fn run(reader: &Reader) -> Result<CiliumAgents, AnalyzeError> {
    let world = &reader.world;
    let answers = reader.answers().await?;
    let daemonset = daemonset(&world.daemonsets.all()?);
    let unmanaged = match daemonset {
        Some(_) => unmanaged(&world.pods.all()?, &world.cilium_endpoints.all()?),
        None => Vec::new(),
    };
    Ok(CiliumAgents {
        daemonset,
        agents: sorted(answers.iter().map(agent).collect()),
        unmanaged: unmanaged.len(),
        unmanaged_pods: unmanaged.into_iter().take(NAMED).collect(),
    })
}

fn daemonset(all: &[Arc<DaemonSet>]) -> Option<Counts> {
    let found = all.iter().find(|set| {
        set.name_any() == "cilium" && set.namespace().as_deref() == Some("kube-system")
    });
    found.map(|set| pods::of_daemonset(set))
}

fn sorted(mut agents: Vec<Agent>) -> Vec<Agent> {
    agents.sort_by(|one, other| one.pod.node.cmp(&other.pod.node));
    agents
}

fn agent(answer: &Answer) -> Agent {
    let spec = answer.pod.spec.as_ref();
    let container = spec.and_then(|spec| {
        let named = spec.containers.iter();
        named.into_iter().find(|one| one.name == "cilium-agent")
    });
    let security = container.and_then(|container| container.security_context.as_ref());
    let capabilities = security.and_then(|security| security.capabilities.as_ref());
    Agent {
        pod: pods::state(&answer.pod),
        health: health(answer),
        metrics: answer.metrics.clone(),
        privileged: security
            .and_then(|security| security.privileged)
            .unwrap_or_default(),
        capabilities: capabilities
            .and_then(|given| given.add.clone())
            .unwrap_or_default(),
    }
}

/// A pod that is being replaced answers nothing, and that is no fault.
fn health(answer: &Answer) -> Health {
    match &answer.health {
        Health::NoAnswer(_) if answer.pod.metadata.deletion_timestamp.is_some() => Health::Ok,
        health => health.clone(),
    }
}

/// Running pods of the pod network without an endpoint of their name.
fn unmanaged(all: &[Arc<Pod>], endpoints: &[Arc<DynamicObject>]) -> Vec<String> {
    let managed: HashSet<(Option<String>, String)> = endpoints
        .iter()
        .map(|endpoint| (endpoint.namespace(), endpoint.name_any()))
        .collect();
    let now = jiff::Timestamp::now();
    let mut names: Vec<String> = all
        .iter()
        .filter(|pod| pods::running(pod) && !pods::on_host_network(pod))
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter(|pod| settled(pod, now))
        .filter(|pod| !managed.contains(&(pod.namespace(), pod.name_any())))
        .map(|pod| format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any()))
        .collect();
    names.sort();
    names
}

fn settled(pod: &Pod, now: jiff::Timestamp) -> bool {
    let started = pod
        .status
        .as_ref()
        .and_then(|status| status.start_time.as_ref());
    started.is_some_and(|at| now.duration_since(at.0).as_secs() > GRACE_SECONDS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, host_network: bool, started: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"containers": [], "hostNetwork": host_network},
            "status": {"phase": "Running", "startTime": started},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    fn endpoint(name: &str) -> Arc<DynamicObject> {
        let endpoint = json!({"apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint", "metadata": {"name": name, "namespace": "shop"}});
        Arc::new(serde_json::from_value(endpoint).unwrap())
    }

    #[test]
    fn a_pod_without_an_endpoint_is_unmanaged_unless_it_is_new_or_on_the_nodes_network() {
        let long_ago = "2026-01-01T00:00:00Z";
        let now = jiff::Timestamp::now().to_string();
        let all = [
            pod("managed", false, long_ago),
            pod("forgotten", false, long_ago),
            pod("host", true, long_ago),
            pod("new", false, &now),
        ];
        assert_eq!(unmanaged(&all, &[endpoint("managed")]), ["shop/forgotten"]);
    }
}
