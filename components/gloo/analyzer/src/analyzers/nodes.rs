//! Nodes: what Kubernetes says of each, and what the agent on it sees.

use std::{collections::HashMap, sync::Arc};

use gloo_record::{
    Nodes,
    nodes::{Node, Seen},
};
use k8s_openapi::api::core::v1;
use kube::ResourceExt;

use crate::{
    agents::Answer,
    pods,
    reader::{AnalyzeError, Reader},
};

const PRESSURES: [&str; 4] = [
    "MemoryPressure",
    "DiskPressure",
    "PIDPressure",
    "NetworkUnavailable",
];

pub(super) async fn run(reader: &Reader) -> Result<Nodes, AnalyzeError> {
    let answers = reader.answers().await?;
    let (nodes, pods) = (reader.world.nodes.all()?, reader.world.pods.all()?);
    Ok(record(&nodes, &pods, &answers))
}

fn record(nodes: &[Arc<v1::Node>], all: &[Arc<v1::Pod>], answers: &[Answer]) -> Nodes {
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for pod in all.iter().filter(|pod| !pods::ended(pod)) {
        *counts.entry(pods::node(pod)).or_default() += 1;
    }
    let seen: HashMap<&str, Seen> = answers
        .iter()
        .filter_map(|answer| Some((answer.node(), seen(answer)?)))
        .collect();
    let mut nodes: Vec<Node> = nodes
        .iter()
        .map(|node| {
            let name = node.name_any();
            let count = counts.get(name.as_str()).copied().unwrap_or_default();
            one(node, count, seen.get(name.as_str()).cloned())
        })
        .collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    Nodes { nodes }
}

fn seen(answer: &Answer) -> Option<Seen> {
    let facts = answer.facts.as_ref().ok()?;
    Some(Seen {
        clock_ahead_ms: answer.clock_ahead_ms,
        device_mtu: facts.device_mtu,
        pod_mtu: facts.pod_mtu,
        sysctls: facts.sysctls.clone(),
        btf: facts.btf,
        cgroup2: facts.cgroup2,
    })
}

fn one(node: &v1::Node, pods: u32, seen: Option<Seen>) -> Node {
    let status = node.status.as_ref();
    let info = status.and_then(|status| status.node_info.as_ref());
    let capacity = status.and_then(|status| status.capacity.as_ref()?.get("pods"));
    let is = |kind: &str| {
        let conditions = status.and_then(|status| status.conditions.as_ref());
        let mut all = conditions.into_iter().flatten();
        all.any(|condition| condition.type_ == kind && condition.status == "True")
    };
    Node {
        name: node.name_any(),
        kernel: info
            .map(|info| info.kernel_version.clone())
            .unwrap_or_default(),
        os: info.map(|info| info.os_image.clone()).unwrap_or_default(),
        kubelet: info
            .map(|info| info.kubelet_version.clone())
            .unwrap_or_default(),
        runtime: info
            .map(|info| info.container_runtime_version.clone())
            .unwrap_or_default(),
        ready: is("Ready"),
        pressures: PRESSURES
            .into_iter()
            .filter(|kind| is(kind))
            .map(str::to_owned)
            .collect(),
        pods,
        pod_capacity: capacity
            .and_then(|quantity| quantity.0.parse().ok())
            .unwrap_or_default(),
        seen,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_is_told_with_its_pods_and_conditions() {
        let node: v1::Node = serde_json::from_value(json!({
            "metadata": {"name": "a"},
            "status": {
                "capacity": {"pods": "110"},
                "conditions": [
                    {"type": "Ready", "status": "True"},
                    {"type": "DiskPressure", "status": "True"},
                    {"type": "MemoryPressure", "status": "False"},
                ],
            },
        }))
        .unwrap();
        let pod = |phase: &str| -> Arc<v1::Pod> {
            let pod =
                json!({"spec": {"nodeName": "a", "containers": []}, "status": {"phase": phase}});
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let record = record(&[Arc::new(node)], &[pod("Running"), pod("Succeeded")], &[]);
        let node = &record.nodes[0];
        assert!(node.ready && node.seen.is_none());
        assert_eq!((node.pods, node.pod_capacity), (1, 110));
        assert_eq!(node.pressures, ["DiskPressure"]);
    }
}
