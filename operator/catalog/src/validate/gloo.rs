//! The management plane: an agent has a server to speak with, a server has a store.

use gloo_api::ClusterName;
use gloonet_api::redis::RedisMode;
use gloonet_api::{GlooNetworkSpec, ManagementState, Role};

use super::Refusal;

const ADDRESS: &str = "gloo.agent.managementAddress";

pub(super) fn all(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    let agent = spec.gloo.agent.state == ManagementState::Managed;
    let address = spec.gloo.agent.management_address.as_deref();
    let server = spec.role != Role::Workload
        && spec.gloo.management_server.state == ManagementState::Managed;
    // A name that is no label at all is refused already.
    if (agent || server)
        && super::cluster::is_label(&spec.cluster_name)
        && let Err(error) = spec.cluster_name.parse::<ClusterName>()
    {
        let cure = "or set gloo.managementServer.state and gloo.agent.state to Removed";
        refusals.push(Refusal::new("clusterName", format!("{error}, {cure}")));
    }
    if spec.role == Role::Workload {
        match address {
            Some(given) if !is_address(given) => {
                let why = format!("{given:?} is not host:port; write for example 192.0.2.10:9900");
                refusals.push(Refusal::new(ADDRESS, why));
            }
            None if agent => {
                let why = "a cluster of role Workload has no management server of its own";
                let cure = "set it to host:port of the one that manages it, or gloo.agent.state to Removed";
                refusals.push(Refusal::new(ADDRESS, format!("{why}; {cure}")));
            }
            Some(_) | None => {}
        }
        return;
    }
    if address.is_some() {
        let why = "the agent of this cluster speaks with the server of this cluster; leave it out";
        refusals.push(Refusal::new(ADDRESS, why));
    }
    if agent && !server {
        let why = "gloo.managementServer.state is Removed, so the agent has nobody to speak with";
        let cure = "set gloo.agent.state to Removed too, or the server to Managed";
        refusals.push(Refusal::new("gloo.agent.state", format!("{why}; {cure}")));
    }
    if server && spec.redis.mode == RedisMode::Disabled {
        let why = "the management server keeps what it knows in Redis, and redis.mode is Disabled";
        let cure = "set redis.mode to Managed or External, or gloo.managementServer.state and gloo.agent.state to Removed";
        refusals.push(Refusal::new(
            "gloo.managementServer.state",
            format!("{why}; {cure}"),
        ));
    }
}

/// A host name or an IPv4 address, and a port.
pub(super) fn is_address(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    text.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty()
            && host.len() <= 253
            && host.bytes().all(plain)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    })
}
