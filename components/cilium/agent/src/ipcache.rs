//! Who holds which address, from everything that is known. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use cilium_api::{CiliumEndpoint, NumericIdentity};
use datapath::IpEntry;
use ipnet::Ipv4Net;

use crate::identity::Identities;
use crate::nodes::{KnownNode, Owners};

/// What the table is made of.
#[derive(Debug)]
pub struct Sources<'a> {
    pub own_node: &'a str,
    pub own_ip: Ipv4Addr,
    pub router: Ipv4Addr,
    /// Believed nodes, the own one included or not.
    pub nodes: &'a [KnownNode],
    /// Pods of this node with their identities, from the agent's own table.
    pub local: &'a [(Ipv4Addr, NumericIdentity)],
    pub endpoints: &'a [&'a CiliumEndpoint],
    pub identities: &'a Identities,
    pub api_servers: &'a BTreeSet<Ipv4Addr>,
}

pub type Table = BTreeMap<Ipv4Net, IpEntry>;

/// Closer knowledge overwrites wider: ranges of nodes, then pods of other nodes, then nodes, then the own pods and node.
pub fn desired(sources: &Sources<'_>) -> Table {
    let mut table = Table::new();
    let others = || {
        sources
            .nodes
            .iter()
            .filter(|node| node.name != sources.own_node)
    };
    for node in others() {
        for cidr in &node.pod_cidrs {
            // A pod there that we have not heard of is reached, and no rule about pods, nor one about the outside, means it.
            put(&mut table, *cidr, NumericIdentity::UNMANAGED, Some(node.ip));
        }
    }
    for (address, (identity, tunnel)) in remote_pods(sources) {
        put(&mut table, address.into(), identity, Some(tunnel));
    }
    for address in sources.api_servers {
        put(
            &mut table,
            (*address).into(),
            NumericIdentity::KUBE_APISERVER,
            None,
        );
    }
    for node in others() {
        let identity = if sources.api_servers.contains(&node.ip) {
            NumericIdentity::KUBE_APISERVER
        } else {
            NumericIdentity::REMOTE_NODE
        };
        put(&mut table, node.ip.into(), identity, None);
        if let Some(router) = node.router {
            put(
                &mut table,
                router.into(),
                NumericIdentity::REMOTE_NODE,
                Some(node.ip),
            );
        }
    }
    for (address, identity) in sources.local {
        put(&mut table, (*address).into(), *identity, None);
    }
    for own in [sources.own_ip, sources.router] {
        put(&mut table, own.into(), NumericIdentity::HOST, None);
    }
    table
}

/// Pods as their nodes' agents describe them. A claim outside the claimant's own ranges, or to an identity that is not a
/// pod's of that namespace, is not believed. Two claims to one address: the younger object.
fn remote_pods(sources: &Sources<'_>) -> BTreeMap<Ipv4Addr, (NumericIdentity, Ipv4Addr)> {
    let owners = Owners::new(sources.nodes);
    let mut ordered: Vec<_> = sources.endpoints.to_vec();
    ordered.sort_by_key(|cep| cep.metadata.creation_timestamp.as_ref().map(|time| time.0));
    let mut pods = BTreeMap::new();
    let claims = |cep| claims(cep, sources.identities);
    for claim in ordered.into_iter().flat_map(claims) {
        let own = claim.node == sources.own_ip;
        if !own && owners.may_hold(claim.node, claim.address) {
            pods.insert(claim.address, (claim.identity, claim.node));
        }
    }
    pods
}

struct Claim {
    address: Ipv4Addr,
    node: Ipv4Addr,
    identity: NumericIdentity,
}

fn claims(cep: &CiliumEndpoint, identities: &Identities) -> Vec<Claim> {
    let Some(networking) = &cep.status.networking else {
        return Vec::new();
    };
    let Some(node) = networking
        .node
        .as_deref()
        .and_then(|text| text.parse().ok())
    else {
        return Vec::new();
    };
    let namespace = cep.metadata.namespace.as_deref();
    let identity = cep
        .status
        .identity
        .as_ref()
        .and_then(cilium_api::endpoint::EndpointIdentity::number)
        .filter(|number| is_a_pods(*number) && identities.may_be_of(*number, namespace))
        .unwrap_or(NumericIdentity::INIT);
    networking
        .addressing
        .iter()
        .filter_map(|pair| pair.ipv4.as_deref()?.parse().ok())
        .map(|address| Claim {
            address,
            node,
            identity,
        })
        .collect()
}

/// Reserved identities are given by the node that computes the table, never taken from an object.
fn is_a_pods(identity: NumericIdentity) -> bool {
    identity.is_allocated() || identity == NumericIdentity::HEALTH
}

fn put(table: &mut Table, prefix: Ipv4Net, identity: NumericIdentity, tunnel: Option<Ipv4Addr>) {
    let entry = IpEntry {
        identity: identity.0,
        tunnel,
    };
    table.insert(prefix.trunc(), entry);
}

#[cfg(test)]
mod tests;
