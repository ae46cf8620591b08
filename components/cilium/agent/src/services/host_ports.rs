//! Host ports of this node's pods, as one-backend services at the node's address or its loopback.

use std::net::Ipv4Addr;

use datapath::{Backend, Frontend, Scope, Service as Balanced, WhenEmpty};
use k8s_openapi::api::core::v1::{Container, ContainerPort, Pod};

use super::{Claim, Owner, Place, protocol};

/// Those of pods with an address of their own; a pod on the host's network listens there itself. Of two pods with one port the
/// first by name has it: the scheduler gives a node no second one, unless the first is ending.
pub(super) fn of<'a>(
    pods: impl IntoIterator<Item = &'a Pod>,
    node: Ipv4Addr,
) -> impl Iterator<Item = Claim<'a>> {
    pods.into_iter()
        .filter_map(|pod| Some((address(pod)?, pod)))
        .flat_map(move |(ip, pod)| {
            ports(pod)
                .filter_map(move |port| Some((port, place(port, node)?)))
                .flat_map(move |(port, at)| {
                    // Nothing from outside has a way to the loopback.
                    let outside = (!at.is_loopback()).then_some(Scope::Outside);
                    let scopes = [Some(Scope::Inside), outside].into_iter().flatten();
                    scopes.filter_map(move |scope| balanced(port, at, scope, ip))
                })
                .map(move |balanced| Claim {
                    owner: Owner::HostPort(pod),
                    balanced,
                })
        })
}

/// Where the one is that answers.
pub(super) fn place_of(pod: &Pod) -> Option<(Ipv4Addr, Place<'_>)> {
    let place = Place {
        node: pod.spec.as_ref()?.node_name.as_deref().unwrap_or_default(),
        zone: "",
        terminating: pod.metadata.deletion_timestamp.is_some(),
    };
    Some((address(pod)?, place))
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

/// The address a port is asked for at: the node's if none is named. One that is not this node's is nobody's.
fn place(port: &ContainerPort, node: Ipv4Addr) -> Option<Ipv4Addr> {
    let Some(named) = port.host_ip.as_deref().filter(|ip| !ip.is_empty()) else {
        return Some(node);
    };
    let named: Ipv4Addr = named.parse().ok()?;
    if named.is_unspecified() {
        return Some(node);
    }
    (named == node || named.is_loopback()).then_some(named)
}

fn balanced(port: &ContainerPort, at: Ipv4Addr, scope: Scope, pod: Ipv4Addr) -> Option<Balanced> {
    let number = |number: i32| u16::try_from(number).ok().filter(|number| *number != 0);
    Some(Balanced {
        frontend: Frontend {
            ip: at,
            port: number(port.host_port?)?,
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
        maglev: None,
    })
}
