//! Specification and facts to input, or to the full list of what is wrong with them.
//!
//! The schema's CEL rules already refuse what one object can tell about itself; they are repeated here where `gloonet render`
//! works without an API server. Nothing is torn down because of a refusal: the last accepted input stays in force.

mod cluster;
mod gloo;
mod hubble;
mod network;
mod resources;
mod stores;
mod telemetry;

use std::{fmt, net::Ipv4Addr};

use gloonet_api::GlooNetworkSpec;

use crate::{ApiServer, ClusterFacts, ImageResolver, Input, ReleaseLock};

/// One thing that is wrong, and its cure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Path below `spec`, for example `redis.external.address`.
    pub field: String,
    /// A sentence that names the object and the cure.
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(field: &str, message: impl fmt::Display) -> Self {
        Self {
            field: field.to_owned(),
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "spec.{}: {}", self.field, self.message)
    }
}

/// Judges a specification against the release lock of this build and the facts of the cluster.
///
/// Errors: every refusal there is, in the order of the specification, so that one round of edits cures all.
pub fn validate(spec: &GlooNetworkSpec, facts: &ClusterFacts) -> Result<Input, Vec<Refusal>> {
    match ReleaseLock::embedded() {
        Ok(lock) => validate_with(spec, facts, &lock),
        Err(error) => Err(vec![Refusal::new("version", error)]),
    }
}

/// What was accepted before (`status.computed`) as input for the cluster of now, where `refused` is not.
///
/// No fact of the cluster is a reason to refuse it, for a cluster that has changed takes away nothing that runs; and it gets this
/// build's release, unless `refused` names another one. None when a rule of this build forbids the specification itself.
pub fn standing(
    computed: &GlooNetworkSpec,
    refused: &GlooNetworkSpec,
    facts: &ClusterFacts,
) -> Option<Input> {
    let lock = ReleaseLock::embedded().ok()?;
    let ruled_out = refused
        .version
        .as_ref()
        .is_some_and(|wanted| lock.require_version(wanted).is_err());
    let spec = GlooNetworkSpec {
        version: computed.version.clone().filter(|_| ruled_out),
        ..computed.clone()
    };
    let input = validate_with(&spec, &ClusterFacts::supposed(&spec), &lock).ok()?;
    Some(Input {
        uid: facts.uid.clone(),
        node_addresses: node_addresses(facts),
        ..input
    })
}

pub(crate) fn validate_with(
    spec: &GlooNetworkSpec,
    facts: &ClusterFacts,
    lock: &ReleaseLock,
) -> Result<Input, Vec<Refusal>> {
    let mut refusals = Vec::new();
    cluster::identity(spec, facts, lock, &mut refusals);
    let images = images(spec, lock)
        .map_err(|refusal| refusals.push(refusal))
        .ok();
    network::routing(spec, facts, &mut refusals);
    network::load_balancer(spec, &mut refusals);
    let api_server = network::api_server(spec, facts, &mut refusals);
    let pool = network::pool(spec, facts, &mut refusals);
    hubble::metrics(spec, &mut refusals);
    gloo::all(spec, &mut refusals);
    telemetry::all(spec, &mut refusals);
    stores::redis(spec, facts, &mut refusals);
    stores::prometheus(spec, facts, &mut refusals);
    stores::grafana(spec, &mut refusals);
    resources::all(spec, &mut refusals);
    cluster::pause(spec, &mut refusals);
    match (images, refusals.is_empty()) {
        (Some(images), true) => Ok(input(spec, facts, lock, images, api_server, pool)),
        _ => Err(refusals),
    }
}

fn input(
    spec: &GlooNetworkSpec,
    facts: &ClusterFacts,
    lock: &ReleaseLock,
    images: ImageResolver,
    api_server: ApiServer,
    pool: Vec<ipnet::Ipv4Net>,
) -> Input {
    let mut spec = spec.clone();
    spec.version.get_or_insert_with(|| lock.version.clone());
    spec.cilium.kubernetes_service = Some(gloonet_api::cilium::KubernetesService {
        host: api_server.host.clone(),
        port: api_server.port,
    });
    Input {
        spec,
        uid: facts.uid.clone(),
        images,
        api_server,
        pool,
        node_addresses: node_addresses(facts),
    }
}

fn node_addresses(facts: &ClusterFacts) -> Vec<Ipv4Addr> {
    let nodes = facts.nodes.iter();
    let mut addresses: Vec<Ipv4Addr> = nodes
        .flat_map(|node| node.internal_ips.iter().copied())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn images(spec: &GlooNetworkSpec, lock: &ReleaseLock) -> Result<ImageResolver, Refusal> {
    let images = &spec.images;
    let policy = images.pull_policy.as_str();
    ImageResolver::new(
        lock,
        &images.registry,
        &images.overrides,
        policy,
        &images.pull_secrets,
    )
    .map_err(|error| Refusal::new("images", error))
}

#[cfg(test)]
mod tests;
