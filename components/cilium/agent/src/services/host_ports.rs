//! Host ports of this node's pods, as one-backend services at the node's address.

use std::net::Ipv4Addr;

use datapath::{Backend, Frontend, Scope, Service as Balanced, WhenEmpty};
use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};

use super::protocol;

/// Those of pods with an address of their own; a pod on the host's network listens there itself. Of two pods with one port the
/// first by name has it: the scheduler gives a node no second one, unless the first is ending.
pub(super) fn of<'a>(
    pods: impl IntoIterator<Item = &'a Pod>,
    node: Ipv4Addr,
) -> impl Iterator<Item = Balanced> {
    pods.into_iter()
        .filter_map(|pod| Some((address(pod)?, pod)))
        .flat_map(move |(ip, pod)| {
            ports(pod)
                .flat_map(move |port| [Scope::Inside, Scope::Outside].map(|scope| (port, scope)))
                .filter_map(move |(port, scope)| balanced(port, scope, ip, node))
        })
}

fn ports(pod: &Pod) -> impl Iterator<Item = &ContainerPort> {
    let containers = pod.spec.iter().flat_map(|spec| {
        let sidecars = spec.init_containers.iter().flatten();
        sidecars
            .filter(|container| is_sidecar(container))
            .chain(&spec.containers)
    });
    containers.flat_map(|container| container.ports.iter().flatten())
}

fn is_sidecar(container: &Container) -> bool {
    container.restart_policy.as_deref() == Some("Always")
}

/// The address of a pod that runs.
fn address(pod: &Pod) -> Option<Ipv4Addr> {
    let on_host = pod.spec.as_ref()?.host_network.unwrap_or(false);
    let status = pod.status.as_ref().filter(|_| !on_host)?;
    let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
    status.pod_ip.as_ref().filter(|_| !ended)?.parse().ok()
}

/// A port that is asked for at another address than the node's is at nobody's.
fn balanced(port: &ContainerPort, scope: Scope, pod: Ipv4Addr, node: Ipv4Addr) -> Option<Balanced> {
    let at = port.host_ip.as_deref().filter(|ip| !ip.is_empty());
    let meant = at.is_none_or(|ip| ip == "0.0.0.0" || ip.parse() == Ok(node));
    let number = |number: i32| u16::try_from(number).ok().filter(|number| *number != 0);
    Some(Balanced {
        frontend: Frontend {
            ip: node,
            port: number(port.host_port.filter(|_| meant)?)?,
            protocol: protocol(port.protocol.as_deref())?,
            scope,
        },
        backends: vec![Backend {
            ip: pod,
            port: number(port.container_port)?,
        }],
        affinity_seconds: None,
        when_empty: WhenEmpty::Refuse,
        exclusive: false,
        source_ranges: Vec::new(),
    })
}
