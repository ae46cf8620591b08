//! What every analyzer reports of the healthy cluster, and its snapshot.

use std::collections::BTreeMap;

use gloo_record::{
    Certificates, CiliumAgents, CiliumConfig, CiliumOperator, CniConfiguration, Counts,
    GlooComponents, Hubble, Images, NetworkPolicies, Nodes, PodState, Proxies, Record,
    certificates::{Certificate, Place, Trust},
    cilium_agents::{Agent, Health, Metrics},
    cilium_config::Running,
    cilium_operator::Lease,
    cni_configuration, gloo_components, images, network_policies, nodes, proxies,
};
use jiff::SignedDuration;

use super::{NODES, now};
use crate::{Binding, Isolation, Snapshot, Subject};

pub(super) fn records() -> Vec<Record> {
    vec![
        Record::CiliumAgents(agents()),
        Record::CiliumConfig(config()),
        Record::CiliumOperator(operator()),
        Record::CniConfiguration(cni()),
        Record::Certificates(Certificates {
            certificates: vec![certificate()],
            unreadable: Vec::new(),
        }),
        Record::GlooComponents(gloo()),
        Record::Hubble(Hubble {
            enabled: true,
            listen_address: Some(":4244".to_owned()),
            ..Hubble::default()
        }),
        Record::Images(Images {
            containers: vec![image()],
            registries: vec!["ghcr.io".to_owned()],
        }),
        Record::NetworkPolicies(NetworkPolicies {
            remarkable: Vec::new(),
            total: 4,
            namespaces: vec![network_policies::Namespace {
                name: "shop".to_owned(),
                pods: 3,
                ingress_isolated: 3,
                egress_isolated: 3,
                default_deny: true,
                system: false,
            }],
        }),
        Record::Nodes(Nodes {
            nodes: NODES.map(node).to_vec(),
        }),
        Record::Proxies(Proxies {
            proxies: vec![proxies::Proxy {
                pod: pod("shop", "envoy-1", NODES[0]),
                image: "envoy:1".to_owned(),
            }],
        }),
    ]
}

/// A pod that runs.
pub fn pod(namespace: &str, name: &str, node: &str) -> PodState {
    PodState {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        node: node.to_owned(),
        ready: true,
        restarts: 0,
        trouble: None,
    }
}

const ALL: Counts = Counts {
    desired: 2,
    ready: 2,
    updated: 2,
    observed: true,
};

fn agents() -> CiliumAgents {
    let agent = |node: &str| Agent {
        pod: pod("kube-system", &format!("cilium-{node}"), node),
        health: Health::Ok,
        metrics: Some(Metrics {
            version: Some("0.1.0".to_owned()),
            controllers_failing: Some(0),
            map_pressure: BTreeMap::from([("ct4_global".to_owned(), 0.1)]),
            policies_too_large: Some(0),
            addresses_used: Some(20),
            addresses_total: Some(254),
            ..Metrics::default()
        }),
        privileged: false,
        capabilities: vec!["BPF".to_owned(), "NET_ADMIN".to_owned()],
    };
    CiliumAgents {
        daemonset: Some(ALL),
        agents: NODES.map(agent).to_vec(),
        unmanaged_pods: Vec::new(),
        unmanaged: 0,
    }
}

fn config() -> CiliumConfig {
    let data = [
        ("debug", "false"),
        ("enable-hubble", "true"),
        ("enable-wireguard", "true"),
        ("kube-proxy-replacement", "true"),
        ("routing-mode", "tunnel"),
    ];
    CiliumConfig {
        data: Some(
            data.map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        ),
        digest: "d1".to_owned(),
        nodes: NODES
            .map(|node| Running {
                node: node.to_owned(),
                digest: "d1".to_owned(),
            })
            .to_vec(),
        unknown: Vec::new(),
        kube_proxy_nodes: 0,
    }
}

/// A lease that was just renewed.
pub fn lease(name: &str) -> Lease {
    Lease {
        name: name.to_owned(),
        holder: Some(format!("{name}-1")),
        renewed: Some(now()),
        duration: Some(15),
    }
}

fn operator() -> CiliumOperator {
    CiliumOperator {
        deployment: Some(ALL),
        pods: vec![pod("kube-system", "cilium-operator-1", NODES[0])],
        lease: Some(lease("cilium-operator-resource-lock")),
        nodes_without_pod_cidr: Vec::new(),
        nodes_not_ready: Vec::new(),
        pod_cidrs_used: 2,
        pod_cidrs_total: Some(256),
        identities: 30,
    }
}

fn cni() -> CniConfiguration {
    let own = "05-cilium.conflist";
    CniConfiguration {
        nodes: NODES
            .map(|node| cni_configuration::Node {
                node: node.to_owned(),
                files: vec![own.to_owned()],
            })
            .to_vec(),
        unknown: Vec::new(),
        own: own.to_owned(),
    }
}

fn certificate() -> Certificate {
    let day = SignedDuration::from_hours(24);
    Certificate {
        place: Place::Secret {
            namespace: "gloo-mesh".to_owned(),
            name: "relay-server-tls-secret".to_owned(),
            key: "tls.crt".to_owned(),
        },
        subject: "CN=gloo-mesh-mgmt-server.gloo-mesh".to_owned(),
        issuer: "CN=GlooNetwork relay CA".to_owned(),
        not_before: now() - day * 10,
        not_after: now() + day * 80,
        key: "ECDSA P-256".to_owned(),
        key_bits: 256,
        signature: "ecdsa-with-SHA256".to_owned(),
        names: vec!["gloo-mesh-mgmt-server.gloo-mesh".to_owned()],
        authority: false,
        chain: 0,
        fingerprint: "ab".repeat(32),
        trust: Trust::Verified,
        expected_name: Some("gloo-mesh-mgmt-server.gloo-mesh".to_owned()),
    }
}

fn gloo() -> GlooComponents {
    GlooComponents {
        network: Some(gloo_components::Network {
            version: "0.1.0".to_owned(),
            role: "Standalone".to_owned(),
            available: "True".to_owned(),
            message: "all components are healthy".to_owned(),
            paused: None,
            volatile_stores: Vec::new(),
            management_replicas: Some(2),
        }),
        workloads: vec![gloo_components::Workload {
            namespace: "gloo-mesh".to_owned(),
            kind: "Deployment".to_owned(),
            name: "gloo-mesh-agent".to_owned(),
            counts: ALL,
            version: "0.1.0".to_owned(),
            ours: true,
            unlimited: Vec::new(),
        }],
        pods: vec![pod("gloo-mesh", "gloo-mesh-agent-1", NODES[0])],
        leases: vec![lease("gloonet-operator")],
        resources: Vec::new(),
    }
}

fn image() -> images::Container {
    images::Container {
        namespace: "gloo-mesh".to_owned(),
        workload: "Deployment/gloo-mesh-agent".to_owned(),
        container: "gloo-mesh-agent".to_owned(),
        image: "ghcr.io/gloonetwork/gloo-mesh-agent:0.1.0@sha256:aa".to_owned(),
        digests: vec!["sha256:aa".to_owned()],
        pull_policy: "IfNotPresent".to_owned(),
        expected: Some("ghcr.io/gloonetwork/gloo-mesh-agent:0.1.0@sha256:aa".to_owned()),
    }
}

fn node(name: &str) -> nodes::Node {
    let sysctls = [("ipv4.ip_forward", "1"), ("ipv4.conf.all.rp_filter", "0")];
    nodes::Node {
        name: name.to_owned(),
        kernel: "6.12.1".to_owned(),
        os: "Debian 12".to_owned(),
        kubelet: "v1.36.3".to_owned(),
        runtime: "containerd://2.4.2".to_owned(),
        ready: true,
        pressures: Vec::new(),
        pods: 20,
        pod_capacity: 110,
        seen: Some(nodes::Seen {
            clock_ahead_ms: 3,
            device_mtu: 1500,
            pod_mtu: 1450,
            sysctls: sysctls
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            btf: true,
            cgroup2: true,
        }),
    }
}

pub(super) fn snapshot() -> Snapshot {
    Snapshot {
        admins: vec![Binding {
            name: "cluster-admin".to_owned(),
            subjects: vec![Subject {
                kind: "Group".to_owned(),
                namespace: String::new(),
                name: "system:masters".to_owned(),
            }],
        }],
        isolation: vec![Isolation {
            namespace: "shop".to_owned(),
            name: "shop".to_owned(),
            enabled: true,
            dry_run: false,
        }],
        access_policies: Vec::new(),
        workspaces: vec!["shop".to_owned()],
    }
}
