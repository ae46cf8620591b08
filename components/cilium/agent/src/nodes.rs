//! Which CiliumNodes are believed, and what follows for the datapath. Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use cilium_api::CiliumNode;
use cilium_api::node::AddressType;
use ipnet::Ipv4Net;

/// A node as far as the datapath cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownNode {
    pub name: String,
    /// Where its tunnel ends.
    pub ip: Ipv4Addr,
    /// Its address inside its own podCIDR, once it has one.
    pub router: Option<Ipv4Addr>,
    pub pod_cidrs: Vec<Ipv4Net>,
}

/// A CiliumNode that is not believed, with the reason as a sentence.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal(pub String);

/// Who had a podCIDR or an address before keeps it and its traffic: first the nodes that say what they said in
/// `previous`, then the older objects. Who claims what another has is left out.
pub fn accept<'a>(
    nodes: impl IntoIterator<Item = &'a CiliumNode>,
    previous: &[KnownNode],
) -> (Vec<KnownNode>, Vec<Refusal>) {
    let mut ordered: Vec<(&CiliumNode, KnownNode)> = nodes
        .into_iter()
        .filter_map(|node| Some((node, read(node)?)))
        .collect();
    ordered.sort_by_key(|(node, read)| {
        let same = |old: &&KnownNode| old.name == read.name && old.ip == read.ip;
        let unchanged = previous
            .iter()
            .find(same)
            .is_some_and(|old| old.pod_cidrs == read.pod_cidrs);
        let created = node.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (!unchanged, created.is_none(), created, read.name.clone())
    });
    let mut known: Vec<KnownNode> = Vec::new();
    let mut refusals = Vec::new();
    for (_, candidate) in ordered {
        match known.iter().find_map(|owner| conflict(owner, &candidate)) {
            Some(refusal) => refusals.push(refusal),
            None => known.push(candidate),
        }
    }
    (known, refusals)
}

/// A node that has not written its address, or was not given its ranges yet, is not wrong, only early. One that had them
/// and was written anew lingers with its old ones until it is given them back.
fn read(node: &CiliumNode) -> Option<KnownNode> {
    let pod_cidrs: Vec<Ipv4Net> = node.pod_cidrs().map(|cidr| cidr.trunc()).collect();
    if pod_cidrs.is_empty() {
        return None;
    }
    Some(KnownNode {
        name: node.metadata.name.clone().unwrap_or_default(),
        ip: node.internal_ipv4()?,
        router: router(node),
        pod_cidrs,
    })
}

/// A router address outside the node's own ranges would let it take another's.
pub(crate) fn router(node: &CiliumNode) -> Option<Ipv4Addr> {
    let std::net::IpAddr::V4(ip) = node.address(AddressType::CiliumInternalIP)? else {
        return None;
    };
    node.pod_cidrs()
        .any(|cidr| cidr.contains(&ip))
        .then_some(ip)
}

fn conflict(owner: &KnownNode, claimant: &KnownNode) -> Option<Refusal> {
    if owner.ip == claimant.ip {
        return Some(Refusal(format!(
            "CiliumNode {} claims address {} of CiliumNode {}; it is ignored until its address is its own",
            claimant.name, claimant.ip, owner.name
        )));
    }
    let overlap = claimant.pod_cidrs.iter().find(|mine| {
        owner
            .pod_cidrs
            .iter()
            .any(|other| other.contains(*mine) || mine.contains(other))
    })?;
    Some(Refusal(format!(
        "CiliumNode {} claims podCIDR {overlap}, which overlaps that of CiliumNode {}; it is ignored until cilium-operator gives it another",
        claimant.name, owner.name
    )))
}

/// Who a pod address belongs to, for checking what other nodes say about their pods.
#[derive(Debug, Default)]
pub struct Owners(BTreeMap<Ipv4Addr, Vec<Ipv4Net>>);

impl Owners {
    pub fn new(nodes: &[KnownNode]) -> Self {
        Self(
            nodes
                .iter()
                .map(|node| (node.ip, node.pod_cidrs.clone()))
                .collect(),
        )
    }

    /// Whether the node at `node_ip` may speak about `address`.
    pub fn may_hold(&self, node_ip: Ipv4Addr, address: Ipv4Addr) -> bool {
        self.0
            .get(&node_ip)
            .is_some_and(|cidrs| cidrs.iter().any(|cidr| cidr.contains(&address)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn node(name: &str, second: u8, ip: &str, cidr: &str) -> CiliumNode {
        serde_json::from_value(json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNode",
            "metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
            "spec": {
                "addresses": [{"type": "InternalIP", "ip": ip}, {"type": "CiliumInternalIP", "ip": cidr.replace("0/24", "1")}],
                "ipam": {"podCIDRs": [cidr]},
            },
        }))
        .unwrap()
    }

    #[test]
    fn a_younger_node_that_claims_an_older_ones_range_is_ignored_and_named() {
        let owner = node("b-owner", 1, "172.30.0.11", "10.244.1.0/24");
        let thief = node("a-thief", 2, "172.30.0.12", "10.244.1.0/24");
        let (known, refusals) = accept([&thief, &owner], &[]);
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].name, "b-owner");
        assert!(
            refusals[0].0.contains("a-thief") && refusals[0].0.contains("b-owner"),
            "{refusals:?}"
        );
    }

    #[test]
    fn a_wider_range_around_an_older_ones_is_a_conflict_too() {
        let owner = node("owner", 1, "172.30.0.11", "10.244.1.0/24");
        let mut thief = node("thief", 2, "172.30.0.12", "10.244.2.0/24");
        thief.spec.ipam.pod_cidrs = vec!["10.244.0.0/16".to_owned()];
        assert_eq!(accept([&owner, &thief], &[]).0.len(), 1);
    }

    #[test]
    fn a_node_may_speak_only_about_addresses_in_its_own_ranges() {
        let (known, _) = accept(
            [
                &node("a", 1, "172.30.0.11", "10.244.1.0/24"),
                &node("b", 2, "172.30.0.12", "10.244.2.0/24"),
            ],
            &[],
        );
        let owners = Owners::new(&known);
        let ip = |text: &str| text.parse::<Ipv4Addr>().unwrap();
        assert!(owners.may_hold(ip("172.30.0.11"), ip("10.244.1.9")));
        assert!(!owners.may_hold(ip("172.30.0.11"), ip("10.244.2.9")));
        assert!(!owners.may_hold(ip("172.30.0.99"), ip("10.244.1.9")));
    }

    #[test]
    fn a_router_address_outside_the_nodes_ranges_is_not_taken() {
        let mut forged = node("a", 1, "172.30.0.11", "10.244.1.0/24");
        forged.spec.addresses[1].ip = "10.244.2.7".to_owned();
        assert_eq!(accept([&forged], &[]).0[0].router, None);
    }

    #[test]
    fn an_old_node_that_suddenly_claims_a_younger_ones_range_does_not_get_it() {
        let mut old = node("old", 1, "172.30.0.11", "10.244.1.0/24");
        let young = node("young", 2, "172.30.0.12", "10.244.2.0/24");
        let (before, _) = accept([&old, &young], &[]);
        old.spec.ipam.pod_cidrs = vec!["10.244.2.0/24".to_owned()];
        let (after, refusals) = accept([&old, &young], &before);
        assert_eq!(after.len(), 1);
        assert_eq!(after[0].name, "young");
        assert!(refusals[0].0.contains("old"), "{refusals:?}");
    }

    #[test]
    fn a_node_that_was_written_anew_without_ranges_is_not_believed_to_have_none() {
        let mut anew = node("a", 1, "172.30.0.11", "10.244.1.0/24");
        anew.spec.ipam.pod_cidrs.clear();
        assert_eq!(accept([&anew], &[]), (Vec::new(), Vec::new()));
    }
}
