//! `gloonet cluster register`: a name in the management cluster, and the two Secrets the workload cluster's agent needs.
//!
//! Nothing of the workload cluster is kept: its kubeconfig, when one is given, is used once.

pub(super) mod objects;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use gloo_api::{
    ClusterName, KubernetesCluster,
    names::{NAMESPACE, ROOT, TOKENS},
};
use gloonet_api::Role;
use gloonet_catalog::SecretName;
use gloonet_cluster::{Enrolment, EnrolmentError, enrolment};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};

use crate::{
    duration,
    fetch::{self, FetchError},
    format::{self, FormatError},
};

/// Field manager of what this command applies.
const MANAGER: &str = "gloonet-register";

#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("where").required(true))]
pub(crate) struct Arguments {
    /// What the cluster is called here; the clusterName of its own GlooNetwork.
    name: ClusterName,
    /// Where the agent of that cluster reaches the management server.
    #[arg(long, value_name = "HOST:PORT")]
    server: String,
    /// How long the token is good for, an hour at most.
    #[arg(long, default_value = "1h", value_parser = ttl)]
    ttl: Duration,
    /// Kubeconfig of the workload cluster; what it needs is applied there.
    #[arg(long, value_name = "KUBECONFIG", group = "where")]
    apply_to: Option<PathBuf>,
    /// Print what the workload cluster needs instead. It holds the token: whoever reads it first can use it.
    #[arg(long, group = "where")]
    print: bool,
}

/// The cluster was not registered, or not in full.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("the management cluster cannot be asked")]
    Fetch(#[source] FetchError),
    #[error("cluster {cluster} has role Workload: run this against the cluster that manages")]
    NotManaging { cluster: String },
    #[error(
        "{cluster} is the management cluster itself, whose agent needs no registration; give the name of another"
    )]
    Own { cluster: String },
    #[error(
        "Secret {NAMESPACE}/{ROOT} has no ca.crt: it is there once gloo.managementServer is Managed and trust is healthy (gloonet status)"
    )]
    NoRoot,
    #[error("Secret {NAMESPACE}/{ROOT} cannot be read")]
    Root(#[source] kube::Error),
    #[error("KubernetesCluster {NAMESPACE}/{cluster} cannot be applied")]
    Cluster {
        cluster: ClusterName,
        source: kube::Error,
    },
    #[error("no token can be made for cluster {cluster}")]
    Token {
        cluster: ClusterName,
        source: EnrolmentError,
    },
    #[error("the workload cluster of {kubeconfig} cannot be reached", kubeconfig = .kubeconfig.display())]
    Connect {
        kubeconfig: PathBuf,
        source: FetchError,
    },
    #[error(
        "{object} cannot be applied in the workload cluster; run the command again, it makes a new token"
    )]
    Apply { object: String, source: kube::Error },
    #[error("an object for the workload cluster cannot be made")]
    Object(#[source] serde_json::Error),
    #[error("it cannot be printed")]
    Format(#[source] FormatError),
}

pub(crate) async fn run(
    kubeconfig: Option<&Path>,
    given: &Arguments,
) -> Result<String, RegisterError> {
    let management = fetch::client(kubeconfig)
        .await
        .map_err(RegisterError::Fetch)?;
    // Before anything is written: a registration that ends half-way leaves a token nobody can use.
    let workload = match &given.apply_to {
        None => None,
        Some(path) => Some(connect(path).await?),
    };
    check(&management, &given.name).await?;
    let root = root(&management).await?;
    apply_cluster(&management, &given.name).await?;
    let enrolment = token(&management, given).await?;
    let objects = objects::all(&root, &enrolment).map_err(RegisterError::Object)?;
    let next = objects::next(&given.name, &given.server, &enrolment);
    let Some(workload) = workload else {
        let documents: Result<Vec<String>, _> = objects.iter().map(format::yaml).collect();
        let documents = documents.map_err(RegisterError::Format)?;
        let comment: Vec<String> = next.lines().map(|line| format!("# {line}")).collect();
        return Ok(format!(
            "{}---\n{}\n",
            documents.join("---\n"),
            comment.join("\n")
        ));
    };
    for object in &objects {
        apply(&workload, object).await?;
    }
    Ok(next)
}

async fn connect(path: &Path) -> Result<Client, RegisterError> {
    fetch::client(Some(path))
        .await
        .map_err(|source| RegisterError::Connect {
            kubeconfig: path.to_owned(),
            source,
        })
}

async fn check(management: &Client, name: &ClusterName) -> Result<(), RegisterError> {
    let network = fetch::network(management).await;
    let spec = network.map_err(RegisterError::Fetch)?.spec;
    if spec.role == Role::Workload {
        let cluster = spec.cluster_name;
        return Err(RegisterError::NotManaging { cluster });
    }
    if spec.cluster_name == name.as_str() {
        let cluster = spec.cluster_name;
        return Err(RegisterError::Own { cluster });
    }
    Ok(())
}

/// What the agent verifies the server with; the one Secret this command reads besides the records of tokens.
async fn root(management: &Client) -> Result<String, RegisterError> {
    let api: Api<Secret> = Api::namespaced(management.clone(), NAMESPACE);
    let found = api.get_opt(ROOT).await.map_err(RegisterError::Root)?;
    let text = found
        .and_then(|secret| secret.data?.remove("ca.crt"))
        .and_then(|bytes| String::from_utf8(bytes.0).ok());
    text.ok_or(RegisterError::NoRoot)
}

async fn apply_cluster(management: &Client, name: &ClusterName) -> Result<(), RegisterError> {
    let api: Api<KubernetesCluster> = Api::namespaced(management.clone(), NAMESPACE);
    let body = objects::kubernetes_cluster(name);
    let parameters = PatchParams::apply(MANAGER);
    api.patch(name.as_str(), &parameters, &Patch::Apply(&body))
        .await
        .map_err(|source| RegisterError::Cluster {
            cluster: name.clone(),
            source,
        })?;
    Ok(())
}

async fn token(management: &Client, given: &Arguments) -> Result<Enrolment, RegisterError> {
    let records = SecretName::new(NAMESPACE, TOKENS);
    let ttl = SignedDuration::try_from(given.ttl).unwrap_or(enrolment::LONGEST_TTL);
    let made = enrolment::register(management, &records, &given.name, ttl, Timestamp::now()).await;
    made.map_err(|source| RegisterError::Token {
        cluster: given.name.clone(),
        source,
    })
}

async fn apply(workload: &Client, object: &DynamicObject) -> Result<(), RegisterError> {
    let types = object.types.clone().unwrap_or_default();
    let name = object.metadata.name.clone().unwrap_or_default();
    let kind = GroupVersionKind::gvk("", &types.api_version, &types.kind);
    let resource = ApiResource::from_gvk(&kind);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(workload.clone(), namespace, &resource),
        None => Api::all_with(workload.clone(), &resource),
    };
    // By force: a token of an earlier registration, and what the agent made of it, is past.
    let force = PatchParams::apply(MANAGER).force();
    api.patch(&name, &force, &Patch::Apply(object))
        .await
        .map_err(|source| RegisterError::Apply {
            object: format!("{} {name}", types.kind),
            source,
        })?;
    Ok(())
}

fn ttl(text: &str) -> Result<Duration, String> {
    let given = duration::parse(text)?;
    let longest = enrolment::LONGEST_TTL.unsigned_abs();
    if given.is_zero() || given > longest {
        return Err(format!(
            "{text} is not between 1s and {}m: a token is for now",
            longest.as_secs() / 60
        ));
    }
    Ok(given)
}

#[cfg(test)]
mod tests;
