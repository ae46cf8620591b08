//! Opens a node for pods when its agent is ready: takes the taint away and says the network is there.

use std::{collections::BTreeSet, time::Instant};

use cilium_api::names;
use k8s_openapi::api::core::v1::{Node, Pod, Taint};
use kube::ResourceExt;
use tokio::sync::watch;

use crate::{
    controller::{Controller, Decision},
    world::World,
    write::{Target, Write},
};

/// The duty.
#[derive(Debug)]
pub struct Readiness {
    namespace: String,
}

impl Readiness {
    /// Agents run in `namespace`.
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
        }
    }
}

impl Controller for Readiness {
    const NAME: &'static str = "node-readiness";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![world.pods.changes(), world.nodes.changes()]
    }

    fn decide(&mut self, world: &World, _now: Instant) -> Decision {
        let (pods, nodes) = (world.pods.snapshot(), world.nodes.snapshot());
        let agents = pods
            .objects
            .values()
            .filter(|p| is_ready_agent(p, &self.namespace));
        let with_agent: BTreeSet<&str> = agents
            .filter_map(|p| p.spec.as_ref()?.node_name.as_deref())
            .collect();
        let ready = nodes
            .objects
            .values()
            .filter(|n| with_agent.contains(n.name_any().as_str()));
        Decision {
            writes: ready.flat_map(|node| open(node)).collect(),
            again: None,
        }
    }
}

fn is_ready_agent(pod: &Pod, namespace: &str) -> bool {
    let agent = names::AGENT_SELECTOR.split_once('=');
    let labelled =
        agent.is_some_and(|(key, value)| pod.labels().get(key).is_some_and(|v| v == value));
    let conditions = pod
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let ready = conditions
        .into_iter()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    labelled
        && ready
        && pod.metadata.deletion_timestamp.is_none()
        && pod.namespace().as_deref() == Some(namespace)
}

/// What a node whose agent is ready still lacks. The condition first: the scheduler looks at the taint.
fn open(node: &Node) -> Vec<Write> {
    let conditions = node
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let mut conditions = conditions.filter(|c| c.type_ == "NetworkUnavailable");
    let known =
        conditions.any(|c| c.status == "False" && c.reason.as_deref() == Some(names::CILIUM_IS_UP));
    let condition = (!known).then(|| Write::NetworkAvailable {
        node: node.name_any(),
    });

    let taints: Vec<&Taint> = node
        .spec
        .iter()
        .flat_map(|s| s.taints.iter().flatten())
        .collect();
    let rest: Vec<Taint> = taints
        .iter()
        .filter(|t| t.key != names::AGENT_NOT_READY_TAINT)
        .map(|&t| t.clone())
        .collect();
    let taint = (rest.len() < taints.len()).then(|| Write::SetTaints {
        node: Target::of(node),
        taints: rest,
    });
    condition.into_iter().chain(taint).collect()
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;

    fn agent(ready: &str) -> Value {
        json!({
            "metadata": {"name": "cilium-x", "namespace": "kube-system", "labels": {"k8s-app": "cilium"}},
            "spec": {"containers": [], "nodeName": "worker-1"},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        })
    }

    fn node() -> Value {
        json!({
            "metadata": {"name": "worker-1", "uid": "u", "resourceVersion": "5"},
            "spec": {"taints": [
                {"key": "node.cilium.io/agent-not-ready", "effect": "NoSchedule"},
                {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"},
            ]},
        })
    }

    fn writes(pods: &[Value], nodes: &[Value]) -> Vec<Write> {
        let world = World::default();
        for pod in pods {
            world
                .pods
                .take(Event::Apply(serde_json::from_value(pod.clone()).unwrap()));
        }
        for node in nodes {
            world
                .nodes
                .take(Event::Apply(serde_json::from_value(node.clone()).unwrap()));
        }
        Readiness::new("kube-system")
            .decide(&world, Instant::now())
            .writes
    }

    #[test]
    fn a_node_with_a_ready_agent_loses_only_the_taint_of_the_missing_agent() {
        let writes = writes(&[agent("True")], &[node()]);
        assert_eq!(
            writes[0],
            Write::NetworkAvailable {
                node: "worker-1".into()
            }
        );
        let Write::SetTaints { node, taints } = &writes[1] else {
            panic!("{writes:?}")
        };
        assert_eq!(node.resource_version.as_deref(), Some("5"));
        assert_eq!(
            taints.iter().map(|t| t.key.as_str()).collect::<Vec<_>>(),
            ["dedicated"]
        );
    }

    #[test]
    fn a_node_whose_agent_is_not_ready_or_ending_or_an_impostor_stays_closed() {
        let mut ending = agent("True");
        ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut impostor = agent("True");
        impostor["metadata"]["namespace"] = json!("shop");
        for pod in [agent("False"), ending, impostor] {
            assert_eq!(writes(&[pod], &[node()]), []);
        }
    }

    #[test]
    fn a_node_that_is_open_already_gets_no_write() {
        let open = json!({
            "metadata": {"name": "worker-1"}, "spec": {},
            "status": {"conditions": [{"type": "NetworkUnavailable", "status": "False", "reason": "CiliumIsUp"}]},
        });
        assert_eq!(writes(&[agent("True")], &[open]), []);
    }
}
