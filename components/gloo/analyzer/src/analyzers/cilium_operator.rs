//! The Cilium operator, and what nodes got from it.

use std::sync::Arc;

use cilium_api::names::{AGENT_NOT_READY_TAINT, NAMESPACE, OPERATOR, OPERATOR_LEASE};
use gloo_record::{CiliumOperator, Counts, PodState};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Node, Pod},
};
use kube::{ResourceExt, api::DynamicObject};

use crate::{
    pods,
    reader::{AnalyzeError, Reader},
};

pub(super) async fn run(reader: &Reader) -> Result<CiliumOperator, AnalyzeError> {
    let world = &reader.world;
    let deployment = deployment(&world.deployments.all()?);
    let nodes = world.nodes.all()?;
    let ciliumnodes = world.cilium_nodes.all()?;
    let lease = match deployment {
        Some(_) => reader.lease(NAMESPACE, OPERATOR_LEASE).await?,
        None => None,
    };
    let config = reader.cilium_config().await?;
    let data = config.and_then(|map| map.data).unwrap_or_default();
    let value = |key: &str| data.get(key).map_or("", String::as_str);
    Ok(CiliumOperator {
        deployment,
        pods: operators(&world.pods.all()?),
        lease,
        nodes_without_pod_cidr: match deployment {
            Some(_) => bare(&nodes, &ciliumnodes),
            None => Vec::new(),
        },
        nodes_not_ready: tainted(&nodes),
        pod_cidrs_used: ciliumnodes.iter().map(|node| ranges(node)).sum(),
        pod_cidrs_total: total(
            value("cluster-pool-ipv4-cidr"),
            value("cluster-pool-ipv4-mask-size"),
        ),
        identities: u64::try_from(world.cilium_identities.all()?.len()).unwrap_or(u64::MAX),
    })
}

fn deployment(all: &[Arc<Deployment>]) -> Option<Counts> {
    let found = all
        .iter()
        .find(|one| one.name_any() == OPERATOR && one.namespace().as_deref() == Some(NAMESPACE));
    found.map(|one| pods::of_deployment(one))
}

fn operators(all: &[Arc<Pod>]) -> Vec<PodState> {
    let own = all
        .iter()
        .filter(|pod| pods::labelled(pod, "io.cilium/app", "operator"));
    own.map(|pod| pods::state(pod)).collect()
}

fn ranges(node: &DynamicObject) -> u64 {
    let ranges = node.data.pointer("/spec/ipam/podCIDRs");
    ranges
        .and_then(|ranges| ranges.as_array())
        .map_or(0, |ranges| u64::try_from(ranges.len()).unwrap_or_default())
}

/// Nodes without a CiliumNode that has a range.
fn bare(nodes: &[Arc<Node>], ciliumnodes: &[Arc<DynamicObject>]) -> Vec<String> {
    let given = |name: &str| {
        ciliumnodes
            .iter()
            .any(|node| node.name_any() == name && ranges(node) > 0)
    };
    let mut names: Vec<String> = nodes
        .iter()
        .map(|node| node.name_any())
        .filter(|name| !given(name))
        .collect();
    names.sort();
    names
}

fn tainted(nodes: &[Arc<Node>]) -> Vec<String> {
    let waits = |node: &&Arc<Node>| {
        let spec = node.spec.as_ref();
        let taints = spec.and_then(|spec| spec.taints.as_ref());
        taints
            .into_iter()
            .flatten()
            .any(|taint| taint.key == AGENT_NOT_READY_TAINT)
    };
    nodes
        .iter()
        .filter(waits)
        .map(|node| node.name_any())
        .collect()
}

/// Ranges of `mask` bits that lie in the pools.
fn total(pools: &str, mask: &str) -> Option<u64> {
    let mask: u32 = mask.parse().ok()?;
    let mut total = 0u64;
    for pool in pools.split([' ', ',']).filter(|pool| !pool.is_empty()) {
        let (_, length) = pool.split_once('/')?;
        let bits = mask.checked_sub(length.parse().ok()?)?;
        total = total.checked_add(1u64.checked_shl(bits)?)?;
    }
    (total > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ranges_of_the_pools_are_counted_and_a_wrong_pool_is_unknown() {
        assert_eq!(total("10.244.0.0/16", "24"), Some(256));
        assert_eq!(total("10.0.0.0/24 10.1.0.0/23", "24"), Some(3));
        for (pools, mask) in [
            ("", "24"),
            ("10.0.0.0", "24"),
            ("10.0.0.0/25", "24"),
            ("a/16", "x"),
        ] {
            assert_eq!(total(pools, mask), None, "{pools} {mask}");
        }
    }

    #[test]
    fn a_node_without_ranges_and_one_with_the_taint_are_named() {
        let node = |name: &str, taint: &str| -> Arc<Node> {
            let node = json!({
                "metadata": {"name": name},
                "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]},
            });
            Arc::new(serde_json::from_value(node).unwrap())
        };
        let range = json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNode", "metadata": {"name": "a"},
            "spec": {"ipam": {"podCIDRs": ["10.244.0.0/24"]}},
        });
        let nodes = [node("a", AGENT_NOT_READY_TAINT), node("b", "other")];
        let ciliumnodes = [Arc::new(serde_json::from_value(range).unwrap())];
        assert_eq!(bare(&nodes, &ciliumnodes), ["b"]);
        assert_eq!(tainted(&nodes), ["a"]);
    }
}
