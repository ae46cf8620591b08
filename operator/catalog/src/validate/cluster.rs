//! Identity of the cluster, release, pause.

use gloonet_api::GlooNetworkSpec;

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
