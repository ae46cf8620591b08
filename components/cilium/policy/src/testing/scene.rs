//! A small cluster with its policies.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use cilium_api::{CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, LabelSet};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::Value;

use crate::{
    input::{NamedPorts, Node, PolicyId, PolicyKind, Service, ServiceName, Subject, SubjectId},
    key::Direction,
    repository::Repository,
};

/// A pod of a scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its identity; equal labels, equal identity.
    pub identity: u32,
    /// The labels of its identity.
    pub labels: LabelSet,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its named ports.
    pub named_ports: NamedPorts,
}

/// A policy object as JSON: kind, metadata and spec.
pub type Object = Value;

/// A cluster, seen from the node `here`.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Pods; each is a subject, numbered by its place.
    pub pods: Vec<Pod>,
    /// Identity of each node's addresses.
    pub nodes: BTreeMap<String, (u32, Node)>,
    /// Reserved identities that are no node's, each with its address.
    pub others: Vec<(u32, Ipv4Addr)>,
    /// Services.
    pub services: BTreeMap<ServiceName, Service>,
    /// CIDR groups as JSON objects, by name.
    pub groups: BTreeMap<String, Object>,
    /// Policies, by kind, namespace and name.
    pub policies: BTreeMap<PolicyId, Object>,
}

/// The first packet of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The pod whose policy judges, by its place.
    pub subject: usize,
    /// Seen from that pod.
    pub direction: Direction,
    /// Identity of the peer.
    pub identity: u32,
    /// Address of the peer.
    pub address: Ipv4Addr,
    /// IP protocol.
    pub protocol: u8,
    /// Destination port, or ICMP type.
    pub port: u16,
}

/// Addresses outside every cluster of this module.
pub const OUTSIDE: [Ipv4Addr; 3] = [
    Ipv4Addr::new(203, 0, 113, 5),
    Ipv4Addr::new(203, 0, 113, 130),
    Ipv4Addr::new(198, 51, 100, 7),
];

const KINDS_OF_PACKETS: [(u8, u16); 10] = [
    (6, 80),
    (6, 81),
    (6, 8080),
    (17, 53),
    (17, 80),
    (132, 80),
    (1, 8),
    (1, 0),
    (47, 0),
    (6, 443),
];

impl Scene {
    /// Every packet worth looking at: each pod, both ways, each peer, some ports.
    pub fn packets(&self) -> Vec<Packet> {
        let mut peers: Vec<_> = self.pods.iter().map(|p| (p.identity, p.address)).collect();
        for (identity, node) in self.nodes.values() {
            peers.extend(node.addresses.iter().map(|a| (*identity, *a)));
        }
        peers.extend(&self.others);
        peers.extend(OUTSIDE.map(|a| (crate::key::WORLD, a)));
        let mut packets = Vec::new();
        for subject in 0..self.pods.len() {
            for direction in Direction::BOTH {
                for &(identity, address) in &peers {
                    packets.extend(KINDS_OF_PACKETS.map(|(protocol, port)| Packet {
                        subject,
                        direction,
                        identity,
                        address,
                        protocol,
                        port,
                    }));
                }
            }
        }
        packets
    }

    /// Ports by name of every pod with an identity.
    pub fn named_ports(&self, identity: u32) -> NamedPorts {
        let mut all = NamedPorts::new();
        for pod in self.pods.iter().filter(|p| p.identity == identity) {
            for (name, numbers) in &pod.named_ports {
                all.entry(name.clone()).or_default().extend(numbers);
            }
        }
        all
    }

    /// Tells a repository everything.
    pub fn feed(&self, repository: &mut Repository) {
        for (place, pod) in self.pods.iter().enumerate() {
            repository.upsert_identity(pod.identity, pod.labels.clone());
            repository.set_named_ports(pod.identity, self.named_ports(pod.identity));
            let id = SubjectId(u32::try_from(place).unwrap_or(u32::MAX));
            repository.upsert_subject(id, pod.subject());
        }
        for (name, (_, node)) in &self.nodes {
            repository.upsert_node(name, node.clone());
        }
        for (name, service) in &self.services {
            repository.upsert_service(name.clone(), service.clone());
        }
        for group in self.groups.values() {
            feed_group(repository, group);
        }
        for (id, policy) in &self.policies {
            feed_policy(repository, id, policy);
        }
    }

    /// Identities of the pods.
    pub fn identities(&self) -> BTreeSet<u32> {
        self.pods.iter().map(|p| p.identity).collect()
    }
}

impl Pod {
    /// What decides its policy.
    pub fn subject(&self) -> Subject {
        Subject {
            identity: self.identity,
            named_ports: self.named_ports.clone(),
        }
    }
}

/// Tells a repository of a CIDR group.
pub fn feed_group(repository: &mut Repository, group: &Object) {
    if let Ok(group) = serde_json::from_value::<CiliumCIDRGroup>(group.clone()) {
        repository.upsert_cidr_group(&group);
    }
}

/// Tells a repository of a policy; the object must be one of the kind.
pub fn feed_policy(repository: &mut Repository, id: &PolicyId, policy: &Object) {
    let policy = policy.clone();
    match id.kind {
        PolicyKind::NetworkPolicy => {
            if let Ok(policy) = serde_json::from_value::<NetworkPolicy>(policy) {
                repository.upsert_network_policy(&policy);
            }
        }
        PolicyKind::CiliumNetworkPolicy => {
            if let Ok(policy) = serde_json::from_value::<CiliumNetworkPolicy>(policy) {
                repository.upsert_cilium_policy(&policy);
            }
        }
        PolicyKind::CiliumClusterwideNetworkPolicy => {
            if let Ok(policy) = serde_json::from_value::<CiliumClusterwideNetworkPolicy>(policy) {
                repository.upsert_clusterwide_policy(&policy);
            }
        }
    }
}
