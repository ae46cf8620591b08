//! Identity of the cluster, release, telemetry that fits the role, pause.

use gloonet_api::{GlooNetworkSpec, ManagementState, Role};

use super::Refusal;
use crate::{ClusterFacts, ComponentId, ReleaseLock};

pub(super) fn identity(
    spec: &GlooNetworkSpec,
    facts: &ClusterFacts,
    lock: &ReleaseLock,
    refusals: &mut Vec<Refusal>,
) {
    if let Some(version) = &spec.version
        && let Err(error) = lock.require_version(version)
    {
        let cure =
            "set spec.version to it, leave it out, or install the operator of the release you want";
        refusals.push(Refusal::new("version", format!("{error}; {cure}")));
    }
    if !is_label(&spec.cluster_name) {
        let name = &spec.cluster_name;
        let rule = "write 1 to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends";
        refusals.push(Refusal::new(
            "clusterName",
            format!("{name:?} is not an RFC 1123 label; {rule}"),
        ));
    }
    let was = |field: &str, before: Option<&String>, now: &str, refusals: &mut Vec<Refusal>| {
        if let Some(before) = before.filter(|before| *before != now) {
            let cure = format!(
                "set it back to {before}, or delete GlooNetwork default and create it anew"
            );
            refusals.push(Refusal::new(
                field,
                format!("{field} cannot change from {before} to {now}; {cure}"),
            ));
        }
    };
    was(
        "clusterName",
        facts.previous_cluster_name.as_ref(),
        &spec.cluster_name,
        refusals,
    );
    was(
        "role",
        facts.previous_role.as_ref(),
        spec.role.as_str(),
        refusals,
    );
}

pub(super) fn telemetry(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    if spec.telemetry.collectors.state == ManagementState::Removed {
        return;
    }
    let field = "telemetry.collectors.state";
    let address = "telemetry.collectors.gatewayAddress";
    let given = spec.telemetry.collectors.gateway_address.as_deref();
    if spec.role == Role::Workload {
        remote(spec, given, refusals);
    } else if given.is_some() {
        let why =
            "the collectors of this cluster send to the gateway of this cluster; leave it out";
        refusals.push(Refusal::new(address, why));
    } else if spec.telemetry.gateway.state == ManagementState::Removed {
        let why = "collectors send to the gateway, and telemetry.gateway.state is Removed";
        refusals.push(Refusal::new(
            field,
            format!("{why}; set {field} to Removed too, or the gateway to Managed"),
        ));
    }
}

fn remote(spec: &GlooNetworkSpec, given: Option<&str>, refusals: &mut Vec<Refusal>) {
    let (field, address) = (
        "telemetry.collectors.state",
        "telemetry.collectors.gatewayAddress",
    );
    match given {
        None => {
            let why = "a cluster of role Workload has no gateway of its own";
            let cure = format!(
                "set {address} to host:port of the one that manages it (its port 4320), or {field} to Removed"
            );
            refusals.push(Refusal::new(field, format!("{why}; {cure}")));
        }
        Some(given) if !super::gloo::is_address(given) => {
            let why = format!("{given:?} is not host:port; write for example 192.0.2.10:4320");
            refusals.push(Refusal::new(address, why));
        }
        Some(_) if spec.gloo.agent.state == ManagementState::Removed => {
            let why = "the agent brings what collectors show the gateway, and gloo.agent.state is Removed";
            let cure = format!("set {field} to Removed too, or the agent to Managed");
            refusals.push(Refusal::new(field, format!("{why}; {cure}")));
        }
        Some(_) => {}
    }
}

pub(super) fn pause(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    for name in spec.pause.iter().flat_map(|pause| &pause.components) {
        if let Err(error) = name.parse::<ComponentId>() {
            refusals.push(Refusal::new("pause.components", error));
        }
    }
}

pub(super) fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
