//! `/v1/cluster/nodes`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cilium_api::CiliumNode;
use cilium_cni::model::node::{ClusterNodeStatus, NodeAddress, NodeElement, PrimaryAddress};

use crate::agent::Agent;

pub async fn list(State(agent): State<Arc<Agent>>) -> Json<ClusterNodeStatus> {
    let nodes_added = known(&agent);
    Json(ClusterNodeStatus { nodes_added })
}

/// Every node known, by name.
pub(crate) fn known(agent: &Agent) -> Vec<NodeElement> {
    let mut nodes: Vec<NodeElement> = agent
        .watched
        .nodes
        .list()
        .iter()
        .map(|node| describe(node, &agent.own.cluster, &agent.own.name))
        .collect();
    nodes.sort_by(|one, other| one.name.cmp(&other.name));
    nodes
}

fn describe(node: &CiliumNode, cluster: &str, own: &str) -> NodeElement {
    let name = node.metadata.name.clone().unwrap_or_default();
    let source = if name == own {
        "local"
    } else {
        "custom-resource"
    };
    let text = |text: Option<String>| text.unwrap_or_default();
    NodeElement {
        name: format!("{cluster}/{name}"),
        primary_address: PrimaryAddress {
            ipv4: NodeAddress {
                alloc_range: text(node.pod_cidrs().next().map(|cidr| cidr.to_string())),
                enabled: true,
                ip: text(node.internal_ipv4().map(|ip| ip.to_string())),
            },
        },
        source: source.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::tests::node;

    #[test]
    fn a_node_is_named_after_its_cluster_and_says_where_it_is() {
        let element = describe(
            &node("worker-2", 1, "172.30.0.12", "10.244.2.0/24"),
            "west",
            "worker-1",
        );
        assert_eq!(
            serde_json::to_value(element).unwrap(),
            serde_json::json!({
                "name": "west/worker-2", "source": "custom-resource",
                "primary-address": {"ipv4": {"alloc-range": "10.244.2.0/24", "enabled": true, "ip": "172.30.0.12"}},
            })
        );
    }
}
