//! `gloonet cluster revoke`: what a cluster's agent shows the management server is worth nothing from now on.
//!
//! The server refuses certificates below the cluster's epoch and ends their streams. What the cluster has is not touched: to
//! take policies away from a cluster that may be in a thief's hands is what the thief would want.

use std::path::Path;

use gloo_api::{
    ClusterName,
    names::{NAMESPACE, TOKEN, TOKENS},
};
use gloonet_api::Role;
use gloonet_catalog::SecretName;
use gloonet_cluster::{EnrolmentError, Revocation, enrolment};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};

use super::register::objects;
use crate::fetch::{self, FetchError};

/// Field manager of what this command applies.
const MANAGER: &str = "gloonet-revoke";

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The cluster, as gloonet clusters names it.
    name: ClusterName,
}

/// Not revoked, or not enrolled again.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    #[error("the management cluster cannot be asked")]
    Fetch(#[source] FetchError),
    #[error("cluster {cluster} has role Workload: run this against the cluster that manages")]
    NotManaging { cluster: String },
    #[error("the record of cluster {cluster} is as it was")]
    Revoke {
        cluster: ClusterName,
        source: EnrolmentError,
    },
    #[error(
        "the certificates of {cluster}, this cluster itself, are revoked, but its agent has no new token; run the command again"
    )]
    Token {
        cluster: ClusterName,
        source: EnrolmentError,
    },
    #[error("the Secret {NAMESPACE}/{TOKEN} cannot be made")]
    Object(#[source] serde_json::Error),
    #[error(
        "the certificates of {cluster}, this cluster itself, are revoked, but the new token cannot be put into Secret {NAMESPACE}/{TOKEN}; run the command again"
    )]
    Apply {
        cluster: ClusterName,
        source: kube::Error,
    },
}

pub(crate) async fn run(
    kubeconfig: Option<&Path>,
    given: &Arguments,
) -> Result<String, RevokeError> {
    let client = fetch::client(kubeconfig)
        .await
        .map_err(RevokeError::Fetch)?;
    let spec = fetch::network(&client)
        .await
        .map_err(RevokeError::Fetch)?
        .spec;
    if spec.role == Role::Workload {
        let cluster = spec.cluster_name;
        return Err(RevokeError::NotManaging { cluster });
    }
    let records = SecretName::new(NAMESPACE, TOKENS);
    let name = &given.name;
    let done = enrolment::revoke(&client, &records, name, Timestamp::now())
        .await
        .map_err(|source| RevokeError::Revoke {
            cluster: name.clone(),
            source,
        })?;
    if spec.cluster_name == name.as_str() {
        enrol_own(&client, &records, name).await?;
        return Ok(own(name, done));
    }
    Ok(text(name, done))
}

/// The agent of this cluster needs no person: its operator gave it its first token, and this is the next one.
async fn enrol_own(
    client: &Client,
    records: &SecretName,
    name: &ClusterName,
) -> Result<(), RevokeError> {
    let cluster = || name.clone();
    let made = enrolment::register(
        client,
        records,
        name,
        enrolment::LONGEST_TTL,
        Timestamp::now(),
    )
    .await
    .map_err(|source| RevokeError::Token {
        cluster: cluster(),
        source,
    })?;
    let secret = objects::token(&made).map_err(RevokeError::Object)?;
    let api: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    // By force: the operator wrote the token that is past.
    let force = PatchParams::apply(MANAGER).force();
    let applied = api.patch(TOKEN, &force, &Patch::Apply(&secret)).await;
    applied.map(drop).map_err(|source| RevokeError::Apply {
        cluster: cluster(),
        source,
    })
}

/// What was revoked, what stays, and the way back.
fn text(name: &ClusterName, done: Revocation) -> String {
    let first = first(name, done);
    format!(
        "{first}
stream:    the management server ends it within seconds, and refuses certificate and renewal with this reason
stays:     every policy the cluster has stays in force, nothing new comes, and nothing is removed
           the other clusters are served with what it last said of itself
telemetry: a token its collectors already hold is good until it expires, a day at most
to enrol it again, with a new key:
  gloonet cluster register {name} --server HOST:PORT --print    (here; apply what it prints there, within the hour)
to leave it out for good:
  kubectl --namespace {NAMESPACE} delete kubernetescluster {name}
"
    )
}

fn own(name: &ClusterName, done: Revocation) -> String {
    let first = first(name, done);
    format!(
        "{first}
{name} is this cluster: its agent has a new token, and enrols again with a new key within a minute or two
stays:     every policy the cluster has stays in force
then see gloonet clusters
"
    )
}

fn first(name: &ClusterName, done: Revocation) -> String {
    let epoch = done.epoch;
    if done.changed {
        format!(
            "cluster {name}: every relay certificate and token given so far is revoked (epoch {epoch})"
        )
    } else {
        format!(
            "cluster {name}: it was revoked before and not registered since, nothing changed (epoch {epoch})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(changed: bool) -> Revocation {
        Revocation { epoch: 4, changed }
    }

    #[test]
    fn what_is_said_names_what_was_revoked_what_stays_and_the_way_back() {
        let expected = "\
cluster east: every relay certificate and token given so far is revoked (epoch 4)
stream:    the management server ends it within seconds, and refuses certificate and renewal with this reason
stays:     every policy the cluster has stays in force, nothing new comes, and nothing is removed
           the other clusters are served with what it last said of itself
telemetry: a token its collectors already hold is good until it expires, a day at most
to enrol it again, with a new key:
  gloonet cluster register east --server HOST:PORT --print    (here; apply what it prints there, within the hour)
to leave it out for good:
  kubectl --namespace gloo-mesh delete kubernetescluster east
";
        assert_eq!(text(&"east".parse().unwrap(), done(true)), expected);
    }

    #[test]
    fn a_second_time_is_said_to_have_changed_nothing() {
        let said = text(&"east".parse().unwrap(), done(false));
        let first = said.lines().next().unwrap();
        assert!(first.contains("nothing changed"), "{first}");
        assert!(said.contains("gloonet cluster register east"), "{said}");
    }

    #[test]
    fn the_management_clusters_own_agent_needs_no_registration() {
        let said = own(&"mgmt".parse().unwrap(), done(true));
        assert!(said.contains("enrols again"), "{said}");
        assert!(!said.contains("cluster register"), "{said}");
    }
}
