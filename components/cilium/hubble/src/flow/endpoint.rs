//! Who stands at one end of a flow.

use ipnet::IpNet;

use crate::{
    names::{Endpoint, Names},
    proto::flow::{Endpoint as FlowEndpoint, Workload},
};

/// Identities from here on, and below the next scope, are a node's own: each stands for a CIDR.
const LOCAL_SCOPE: u32 = 1 << 24;
const SCOPE_MASK: u32 = 0xff << 24;
const CLUSTER_LABEL: &str = "k8s:io.cilium.k8s.policy.cluster=";

pub(super) fn resolve(known: Option<&Endpoint>, seen: u32, names: &dyn Names) -> FlowEndpoint {
    let identity = identity(known, seen);
    let labels = labels(known, seen, names);
    let mut endpoint = FlowEndpoint {
        identity,
        cluster_name: cluster(&labels),
        labels,
        ..FlowEndpoint::default()
    };
    if let Some(known) = known {
        endpoint.id = known.id.into();
        endpoint.namespace.clone_from(&known.namespace);
        endpoint.pod_name.clone_from(&known.pod);
        endpoint.workloads = known
            .workloads
            .iter()
            .map(|workload| Workload {
                name: workload.name.clone(),
                kind: workload.kind.clone(),
            })
            .collect();
    }
    endpoint
}

/// What the datapath saw is what its decision rested on, so its identity goes before the one known here.
pub(crate) fn identity(known: Option<&Endpoint>, seen: u32) -> u32 {
    match (seen, known) {
        (0, Some(known)) => known.identity,
        (seen, _) => seen,
    }
}

/// Those of its identity, in order.
pub(crate) fn labels(known: Option<&Endpoint>, seen: u32, names: &dyn Names) -> Vec<String> {
    let identity = identity(known, seen);
    let labels = match known {
        Some(known) if known.identity == identity && !known.labels.is_empty() => {
            known.labels.clone()
        }
        _ => identity_labels(identity, names),
    };
    sorted(labels, identity)
}

/// Whether an identity is that of something outside the cluster.
pub(crate) fn is_world(identity: u32) -> bool {
    matches!(identity, 2 | 9 | 10) || identity & SCOPE_MASK == LOCAL_SCOPE
}

fn identity_labels(identity: u32, names: &dyn Names) -> Vec<String> {
    if let Some(labels) = names.identity_labels(identity) {
        return labels.to_vec();
    }
    let reserved: &[&str] = match identity {
        0 => &["reserved:unknown"],
        1 => &["reserved:host"],
        2 => &["reserved:world"],
        3 => &["reserved:unmanaged"],
        4 => &["reserved:health"],
        5 => &["reserved:init"],
        6 => &["reserved:remote-node"],
        7 => &["reserved:kube-apiserver", "reserved:remote-node"],
        8 => &["reserved:ingress"],
        9 => &["reserved:world-ipv4"],
        10 => &["reserved:world-ipv6"],
        11 => &["reserved:overlay-to-world"],
        _ => &[],
    };
    reserved.iter().map(|&label| label.to_owned()).collect()
}

/// In order, and of the nested CIDRs that contain an address only the narrowest.
fn sorted(mut labels: Vec<String>, identity: u32) -> Vec<String> {
    if identity & SCOPE_MASK == LOCAL_SCOPE {
        let narrowest = labels
            .iter()
            .filter(|label| prefix_length(label).is_some())
            .max_by_key(|label| prefix_length(label))
            .cloned();
        labels.retain(|label| !label.starts_with("cidr:") || Some(label) == narrowest.as_ref());
    }
    labels.sort_unstable();
    labels
}

/// A label cannot hold a colon, so IPv6 addresses have hyphens in it.
fn prefix_length(label: &str) -> Option<u8> {
    let net: IpNet = label
        .strip_prefix("cidr:")?
        .replace('-', ":")
        .parse()
        .ok()?;
    Some(net.prefix_len())
}

fn cluster(labels: &[String]) -> String {
    let name = labels
        .iter()
        .find_map(|label| label.strip_prefix(CLUSTER_LABEL));
    name.unwrap_or_default().to_owned()
}
