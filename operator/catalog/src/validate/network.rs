//! The pool of pod addresses and the way to the API server.

use std::net::Ipv4Addr;

use cilium_api::names::MAGLEV_TABLE_SIZES;
use gloonet_api::{CONFIRM_ROUTING_MODE, GlooNetworkSpec, ManagementState};
use ipnet::Ipv4Net;

use super::Refusal;
use crate::{ApiServer, ClusterFacts};

const POOL: &str = "cilium.ipam.clusterPoolIPv4CIDRs";
const SERVICE: &str = "cilium.kubernetesService";
const MODE: &str = "cilium.routing.mode";
const TABLE_SIZE: &str = "cilium.loadBalancer.maglevTableSize";

/// Agents take the new mode one after the other, and nodes in different modes do not understand each other: no change by a slip
/// of the pen.
pub(super) fn routing(spec: &GlooNetworkSpec, facts: &ClusterFacts, refusals: &mut Vec<Refusal>) {
    let now = spec.cilium.routing.mode.as_str();
    let Some(before) = &facts.previous_routing_mode else {
        return;
    };
    let confirmed = facts.confirmed_routing_mode.as_deref() == Some(now);
    if before == now || confirmed || spec.cilium.state != ManagementState::Managed {
        return;
    }
    let why = format!(
        "the network runs in mode {before}, and while its agents change to {now}, pods of nodes in different modes do not reach each other"
    );
    refusals.push(Refusal::new(
        MODE,
        format!(
            "{why}; set it back to {before}, or plan a window for it and annotate the GlooNetwork with {CONFIRM_ROUTING_MODE}: {now}"
        ),
    ));
}

/// Every endpoint gets round to each slot only if their number is a prime.
pub(super) fn load_balancer(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    let size = spec.cilium.load_balancer.maglev_table_size;
    if !MAGLEV_TABLE_SIZES.contains(&size) {
        let sizes = MAGLEV_TABLE_SIZES.map(|size| size.to_string()).join(", ");
        refusals.push(Refusal::new(
            TABLE_SIZE,
            format!("a table cannot have {size} slots; choose one of {sizes}"),
        ));
    }
}

pub(super) fn api_server(
    spec: &GlooNetworkSpec,
    facts: &ClusterFacts,
    refusals: &mut Vec<Refusal>,
) -> ApiServer {
    let given = spec
        .cilium
        .kubernetes_service
        .as_ref()
        .map(|service| (service.host.clone(), service.port));
    let Some((host, port)) = given.or_else(|| facts.api_server.clone()) else {
        let cure = format!(
            "set spec.{SERVICE}.host and .port to an address of the API server that nodes can reach"
        );
        refusals.push(Refusal::new(
            SERVICE,
            format!("the address of the API server is not known; {cure}"),
        ));
        return ApiServer {
            host: String::new(),
            port: 0,
        };
    };
    if !is_host(&host) {
        refusals.push(Refusal::new(
            SERVICE,
            format!("{host:?} is no host name or address; write it without scheme and port"),
        ));
    }
    let inside = host
        .parse::<Ipv4Addr>()
        .ok()
        .and_then(|ip| facts.service_cidrs.iter().find(|net| net.contains(&ip)));
    let replaces = spec.cilium.state == ManagementState::Managed
        && spec.cilium.kube_proxy_replacement.is_enabled();
    if let Some(net) = inside.filter(|_| replaces) {
        let why =
            format!("{host} is a Service address ({net}), and Cilium itself is to serve those");
        refusals.push(Refusal::new(
            SERVICE,
            format!("{why}; set it to the address of a control-plane node or its load balancer"),
        ));
    }
    ApiServer { host, port }
}

pub(super) fn pool(
    spec: &GlooNetworkSpec,
    facts: &ClusterFacts,
    refusals: &mut Vec<Refusal>,
) -> Vec<Ipv4Net> {
    let ipam = &spec.cilium.ipam;
    let mut pool: Vec<Ipv4Net> = Vec::new();
    for text in &ipam.cluster_pool_ipv4_cidrs {
        match parse(text, ipam.mask_size) {
            Ok(net) => {
                if let Some(message) = conflict(net, &pool, facts) {
                    refusals.push(Refusal::new(POOL, message));
                }
                pool.push(net);
            }
            Err(message) => refusals.push(Refusal::new(POOL, message)),
        }
    }
    if pool.is_empty() && ipam.cluster_pool_ipv4_cidrs.is_empty() {
        refusals.push(Refusal::new(
            POOL,
            "the pool is empty; name at least one IPv4 range, for example 10.244.0.0/16",
        ));
    }
    let blocks: u64 = pool
        .iter()
        .map(|net| 1_u64 << ipam.mask_size.saturating_sub(net.prefix_len()).min(32))
        .sum();
    let nodes = facts.nodes.iter().filter(|node| node.agent).count() as u64;
    if !pool.is_empty() && blocks < nodes {
        let why = format!(
            "the pool holds {blocks} blocks of /{} and the cluster has {nodes} nodes",
            ipam.mask_size
        );
        refusals.push(Refusal::new(POOL, format!("{why}; add a range")));
    }
    pool
}

fn parse(text: &str, mask_size: u8) -> Result<Ipv4Net, String> {
    let net: Ipv4Net = text
        .parse()
        .map_err(|_| format!("{text:?} is no IPv4 range; write it as 10.244.0.0/16"))?;
    if net.trunc() != net {
        return Err(format!("{text} has host bits set; write {}", net.trunc()));
    }
    if net.prefix_len() > mask_size {
        let cure =
            format!("make the range larger or cilium.ipam.maskSize greater than {mask_size}");
        return Err(format!(
            "{text} is smaller than one node's block of /{mask_size}; {cure}"
        ));
    }
    if mask_size > 30 {
        return Err(format!(
            "blocks of /{mask_size} leave no pod address; set cilium.ipam.maskSize to 30 or less"
        ));
    }
    Ok(net)
}

fn conflict(net: Ipv4Net, earlier: &[Ipv4Net], facts: &ClusterFacts) -> Option<String> {
    let overlap = |other: &&Ipv4Net| net.contains(*other) || other.contains(&net);
    let cure = "choose a range that nothing in or around the cluster uses";
    let special = [
        (Ipv4Addr::LOCALHOST, 8),
        (Ipv4Addr::new(169, 254, 0, 0), 16),
        (Ipv4Addr::new(224, 0, 0, 0), 3),
        (Ipv4Addr::UNSPECIFIED, 8),
    ];
    let special: Vec<Ipv4Net> = special
        .iter()
        .filter_map(|(ip, len)| Ipv4Net::new(*ip, *len).ok())
        .collect();
    if let Some(other) = special.iter().find(overlap) {
        return Some(format!(
            "{net} overlaps {}, which is not for pods; {cure}",
            other.trunc()
        ));
    }
    if let Some(other) = earlier.iter().find(overlap) {
        return Some(format!(
            "{net} overlaps {other} of the same pool; remove one of them"
        ));
    }
    if let Some(other) = facts.service_cidrs.iter().find(overlap) {
        return Some(format!(
            "{net} overlaps the cluster's Service range {other}; {cure}"
        ));
    }
    facts.nodes.iter().find_map(|node| {
        let ip = node.internal_ips.iter().find(|ip| net.contains(*ip))?;
        Some(format!("{net} overlaps node {} ({ip}); {cure}", node.name))
    })
}

fn is_host(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (1..=253).contains(&host.len()) && host.bytes().all(plain)
}
