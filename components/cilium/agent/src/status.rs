//! What the agent says about itself.

use std::collections::BTreeSet;
use std::sync::Arc;

use cilium_cni::model::balancing::{Enabled, Features, KubeProxyReplacement, NodePort};
use cilium_cni::model::routing::RoutingStatus;
use cilium_cni::model::{
    ClusterStatus, EncryptionStatus, IpamStatus, ModeStatus, Status, StatusResponse,
};
use datapath::{Maglev, Routing};
use k8s_openapi::api::core::v1::Pod;
use serde::Serialize;

use crate::agent::{Agent, blocking};
use crate::api::cluster_nodes::known;
use crate::cluster_health::paths::Carried;
use crate::endpoint::Endpoint;
use crate::room;

pub async fn status(agent: &Arc<Agent>) -> StatusResponse {
    let worker = agent.clone();
    let datapath = match blocking(move || worker.datapath.endpoints()).await {
        Some(Ok(_)) => None,
        Some(Err(error)) => Some(cilium_cni::error::chain(&error)),
        None => Some("reading the datapath panicked".to_owned()),
    };
    let allocations = agent.endpoints.allocations();
    StatusResponse {
        cilium: cilium(
            datapath.as_deref(),
            &agent.watched.unsynced(),
            &agent.problems(),
        ),
        kubernetes: match agent.watched.trouble() {
            Some(trouble) => Status::failure(trouble),
            None => Status::ok("1.36 (API server reached)"),
        },
        kube_proxy_replacement: kube_proxy_replacement(agent.own.maglev),
        ipam: IpamStatus {
            status: format!(
                "{}/{} addresses in use",
                allocations.len(),
                agent.endpoints.capacity()
            ),
            allocations,
        },
        policy: policy(agent),
        // An API server that is away does not keep pods from being connected.
        cni: match datapath {
            Some(problem) => Status::failure(problem),
            None => Status::ok("ADD can be served"),
        },
        routing: Some(routing(agent.own.routing)),
        encryption: EncryptionStatus::default(),
        host_firewall: Some(ModeStatus {
            mode: "Disabled".to_owned(),
        }),
        cluster: Some(ClusterStatus {
            cilium_health: if agent.cluster_health.get().is_some() {
                Status::ok("")
            } else {
                Status::disabled("enable-health-checking is false in ConfigMap cilium-config")
            },
            nodes: known(agent),
            own_name: format!("{}/{}", agent.own.cluster, agent.own.name),
        }),
    }
}

/// In upstream's words, by which cilium-cli chooses what it tests.
fn kube_proxy_replacement(maglev: Option<Maglev>) -> KubeProxyReplacement {
    let algorithm = if maglev.is_some() { "Maglev" } else { "Random" };
    let on = Enabled { enabled: true };
    KubeProxyReplacement {
        mode: "True".to_owned(),
        features: Some(Features {
            socket_lb_hostns_only: false,
            socket_lb: on,
            node_port: NodePort {
                enabled: true,
                mode: "SNAT".to_owned(),
                algorithm: algorithm.to_owned(),
                acceleration: "Disabled".to_owned(),
                lut_size: maglev.map(Maglev::slots),
            },
            host_port: on,
            external_ips: on,
            session_affinity: on,
            graceful_termination: on,
        }),
    }
}

fn routing(routing: Routing) -> RoutingStatus {
    let (mode, protocol) = match routing {
        Routing::Tunnel => ("Tunnel", "vxlan"),
        Routing::Native => ("Native", ""),
    };
    RoutingStatus {
        inter_host_routing_mode: mode.to_owned(),
        intra_host_routing_mode: "BPF".to_owned(),
        tunnel_protocol: protocol.to_owned(),
    }
}

/// Enforced as asked, or the sentence about what is not.
fn policy(agent: &Agent) -> Status {
    if !agent.policies.ready() {
        return Status::warning(
            "policies are not read yet; pods keep what they had, new pods wait",
        );
    }
    if let Some(sentence) = too_large(agent) {
        return Status::warning(sentence);
    }
    let problem = agent
        .problems()
        .into_iter()
        .find(|(part, _)| *part == "policy");
    match problem {
        Some((_, problem)) => Status::warning(problem),
        None => Status::ok(format!("revision {}", agent.policies.revision())),
    }
}

/// Which pods' policies do not fit into the datapath, and whose fault that is.
pub fn too_large(agent: &Agent) -> Option<String> {
    room::sentence(&agent.policies.too_large(), &agent.endpoints.list())
}

/// Ok as long as traffic is carried by what is known; what cannot be updated now is a warning.
fn cilium(datapath: Option<&str>, unsynced: &[&str], problems: &[(&str, String)]) -> Status {
    if let Some(problem) = datapath {
        return Status::failure(problem);
    }
    if !unsynced.is_empty() {
        return Status::failure(format!(
            "waiting for the API server to list {}",
            unsynced.join(", ")
        ));
    }
    match problems.first() {
        Some((part, problem)) => Status::warning(format!("{part}: {problem}")),
        None => Status::ok("OK"),
    }
}

/// What the operator's gate measures: does every pod of the node have its endpoint, and are other nodes and Services reached?
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coverage {
    pub ready: bool,
    pub pods: usize,
    pub endpoints: usize,
    /// Pods without an endpoint, `namespace/name`.
    pub missing: Vec<String>,
    pub message: String,
    /// Absent where nodes are not probed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carried: Option<Carried>,
}

impl Coverage {
    /// An agent that does not serve yet covers nobody.
    pub fn not_yet(message: &str) -> Self {
        Self {
            ready: false,
            pods: 0,
            endpoints: 0,
            missing: Vec::new(),
            message: message.to_owned(),
            carried: None,
        }
    }
}

pub async fn coverage(agent: &Arc<Agent>) -> Coverage {
    let worker = agent.clone();
    let programmed: BTreeSet<u16> = match blocking(move || worker.datapath.endpoints()).await {
        Some(Ok(known)) => known.into_iter().map(|endpoint| endpoint.id).collect(),
        Some(Err(error)) => return Coverage::not_yet(&cilium_cni::error::chain(&error)),
        None => return Coverage::not_yet("reading the datapath panicked"),
    };
    if !agent.watched.pods.synced() {
        return Coverage::not_yet("waiting for the API server to list pods");
    }
    let mut endpoints = agent.endpoints.list();
    endpoints.retain(|endpoint| programmed.contains(&endpoint.id));
    let pods = agent.watched.pods.list();
    let coverage = cover(pods.iter().map(AsRef::as_ref), &endpoints);
    let health = agent.cluster_health.get();
    Coverage {
        carried: health.map(|health| health.carried()),
        ..coverage
    }
}

fn cover<'a>(pods: impl IntoIterator<Item = &'a Pod>, endpoints: &[Endpoint]) -> Coverage {
    let known: BTreeSet<(&str, &str)> = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.pod.as_ref())
        .map(|pod| (pod.namespace.as_str(), pod.name.as_str()))
        .collect();
    let managed: Vec<(&str, &str)> = pods
        .into_iter()
        .filter(|pod| is_managed(pod))
        .map(name)
        .collect();
    let missing: Vec<String> = managed
        .iter()
        .filter(|pod| !known.contains(*pod))
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .collect();
    let message = if missing.is_empty() {
        format!(
            "{} pods, each with an endpoint in the datapath",
            managed.len()
        )
    } else {
        format!(
            "{} of {} pods have no endpoint in the datapath: {}; recreate pods that were started by another CNI plugin",
            missing.len(),
            managed.len(),
            missing
                .iter()
                .take(5)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ")
        )
    };
    Coverage {
        ready: missing.is_empty(),
        pods: managed.len(),
        endpoints: endpoints.len(),
        missing,
        message,
        carried: None,
    }
}

fn name(pod: &Pod) -> (&str, &str) {
    let metadata = &pod.metadata;
    (
        metadata.namespace.as_deref().unwrap_or_default(),
        metadata.name.as_deref().unwrap_or_default(),
    )
}

/// A pod that has a network of its own by now: it runs, has an address, and does not share the node's.
fn is_managed(pod: &Pod) -> bool {
    let host_network = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.host_network == Some(true));
    let status = pod.status.as_ref();
    let running = status.is_some_and(|status| status.phase.as_deref() == Some("Running"));
    let addressed = status.is_some_and(|status| status.pod_ip.is_some());
    running && addressed && !host_network && pod.metadata.deletion_timestamp.is_none()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, spec: Value, status: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": name}, "spec": spec, "status": status}))
        .unwrap()
    }

    fn running(name: &str) -> Pod {
        pod(
            name,
            json!({"containers": []}),
            json!({"phase": "Running", "podIP": "10.244.1.5"}),
        )
    }

    #[test]
    fn a_running_pod_without_an_endpoint_is_named() {
        let coverage = cover([&running("web")], &[]);
        assert!(!coverage.ready);
        assert_eq!(coverage.missing, ["shop/web"]);
        assert!(
            coverage.message.contains("shop/web"),
            "{}",
            coverage.message
        );
    }

    #[test]
    fn pods_of_the_nodes_network_and_pods_that_do_not_run_need_none() {
        let host = pod(
            "host",
            json!({"containers": [], "hostNetwork": true}),
            json!({"phase": "Running", "podIP": "172.30.0.11"}),
        );
        let done = pod(
            "done",
            json!({"containers": []}),
            json!({"phase": "Succeeded", "podIP": "10.244.1.6"}),
        );
        let early = pod(
            "early",
            json!({"containers": []}),
            json!({"phase": "Pending"}),
        );
        let coverage = cover([&host, &done, &early], &[]);
        assert_eq!((coverage.ready, coverage.pods), (true, 0));
    }

    #[test]
    fn the_way_between_nodes_is_said_in_upstreams_words() {
        let said = |mode| serde_json::to_value(routing(mode)).unwrap();
        assert_eq!(
            said(Routing::Tunnel),
            json!({"inter-host-routing-mode": "Tunnel", "intra-host-routing-mode": "BPF", "tunnel-protocol": "vxlan"})
        );
        assert_eq!(
            said(Routing::Native),
            json!({"inter-host-routing-mode": "Native", "intra-host-routing-mode": "BPF"})
        );
    }

    #[test]
    fn how_services_are_balanced_is_said_in_upstreams_words() {
        let said = |maglev| serde_json::to_value(kube_proxy_replacement(maglev)).unwrap();
        let features = &said(None)["features"];
        let at_random = json!({"enabled": true, "mode": "SNAT", "algorithm": "Random", "acceleration": "Disabled"});
        assert_eq!(features["nodePort"], at_random);
        // An accelerator and sockets left alone would each leave tests of cilium-cli's out.
        assert_eq!(features["socketLB"]["enabled"], true);
        assert_eq!(features["bpfSocketLBHostnsOnly"], false);
        let node_port = &said(Maglev::new(251, [0; 12]))["features"]["nodePort"];
        assert_eq!(node_port["algorithm"], "Maglev");
        assert_eq!(node_port["lutSize"], 251);
    }

    #[test]
    fn an_api_server_that_is_away_after_the_first_listing_leaves_the_agent_ok() {
        assert_eq!(cilium(None, &[], &[]).state, "Ok");
        assert!(cilium(None, &["pods"], &[]).is_failure());
        assert!(cilium(Some("map gone"), &[], &[]).is_failure());
        assert!(!cilium(None, &[], &[("network", "map full".to_owned())]).is_failure());
    }
}
