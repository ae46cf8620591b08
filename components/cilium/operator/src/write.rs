//! Every change this program makes to the cluster, as data, and the one place that carries it out.

mod body;
mod events;
mod load_balancer;

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use cilium_api::{
    CiliumEndpoint, CiliumIdentity, CiliumNode, LabelSet, NumericIdentity, names,
    policy::{CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy},
};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Node, ObjectReference, Taint},
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{sync::watch, time::timeout};

use self::body::{network_available, node_labels, pod_cidrs, policy_valid, set_taints};
use self::events::Events;
pub use self::load_balancer::{Condition, PoolConditions, ServiceAddresses};
use crate::{cache::Key, node_labels::MANAGER as NODE_LABELS_MANAGER};

/// How long an answer is waited for. A machine that loses its power ends no connection, and whoever waits for it does nothing else.
const LIMIT: Duration = Duration::from_secs(10);

/// An object exactly as it was seen: a write to it fails when it has changed since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub key: Key,
    /// Its uid.
    pub uid: Option<String>,
    /// Its version.
    pub resource_version: Option<String>,
}

impl Target {
    /// The target for an object out of a cache.
    pub fn of<K: Resource>(object: &K) -> Self {
        let meta = object.meta();
        let key = Key {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        };
        Self {
            key,
            uid: meta.uid.clone(),
            resource_version: meta.resource_version.clone(),
        }
    }
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// Gives a node its podCIDRs.
    PodCidrs {
        /// The CiliumNode.
        node: Target,
        /// All of them.
        cidrs: Vec<Ipv4Net>,
    },
    /// Says in the CiliumNode's status why it has no podCIDR, or that nothing is wrong any more.
    IpamError {
        /// Name of the CiliumNode.
        node: String,
        /// The sentence.
        error: Option<String>,
    },
    /// Makes an identity.
    CreateIdentity {
        /// Its number.
        number: NumericIdentity,
        /// What it stands for.
        labels: LabelSet,
    },
    /// Removes an identity nothing uses.
    DeleteIdentity(Target),
    /// Removes an endpoint without its pod.
    DeleteEndpoint(Target),
    /// Removes a CiliumNode of a Node that is gone.
    DeleteCiliumNode(Target),
    /// Leaves a node with these taints, all but the one for a missing agent.
    SetTaints {
        /// The Node.
        node: Target,
        /// What stays.
        taints: Vec<Taint>,
    },
    /// Sets NetworkUnavailable=False.
    NetworkAvailable {
        /// Name of the Node.
        node: String,
    },
    /// Leaves a CiliumNode with these labels, and with those others gave it.
    NodeLabels {
        /// The CiliumNode.
        node: Target,
        /// All of this duty's.
        labels: BTreeMap<String, String>,
    },
    /// Sets the condition `Valid` of a policy.
    PolicyValid {
        /// The policy; without namespace a clusterwide one.
        policy: Target,
        /// `True` or `False`.
        status: &'static str,
        /// One word for programs.
        reason: &'static str,
        /// Sentences for people.
        message: String,
        /// Since when the status is so; `None`: from now on.
        since: Option<String>,
    },
    /// Gives a Service addresses of a load balancer, or takes them away, and says why.
    ServiceAddresses(Box<ServiceAddresses>),
    /// Says how a pool of such addresses is.
    PoolConditions(PoolConditions),
    /// Tells people something about an object.
    Event {
        /// The object.
        about: Box<ObjectReference>,
        /// Machine-readable reason.
        reason: &'static str,
        /// The sentence.
        note: String,
    },
}

impl Write {
    /// Label of the write in metrics.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PodCidrs { .. } => "pod_cidrs",
            Self::IpamError { .. } => "ipam_error",
            Self::CreateIdentity { .. } => "create_identity",
            Self::DeleteIdentity(_) => "delete_identity",
            Self::DeleteEndpoint(_) => "delete_endpoint",
            Self::DeleteCiliumNode(_) => "delete_cilium_node",
            Self::SetTaints { .. } => "set_taints",
            Self::NetworkAvailable { .. } => "network_available",
            Self::NodeLabels { .. } => "node_labels",
            Self::PolicyValid { .. } => "policy_valid",
            Self::ServiceAddresses(_) => "service_addresses",
            Self::PoolConditions(_) => "pool_conditions",
            Self::Event { .. } => "event",
        }
    }

    /// The object the write is about.
    pub fn object(&self) -> String {
        match self {
            Self::PodCidrs { node, .. }
            | Self::SetTaints { node, .. }
            | Self::NodeLabels { node, .. } => node.key.to_string(),
            Self::PolicyValid { policy, .. } => policy.key.to_string(),
            Self::IpamError { node, .. } | Self::NetworkAvailable { node } => node.clone(),
            Self::CreateIdentity { number, .. } => number.to_string(),
            Self::DeleteIdentity(t) | Self::DeleteEndpoint(t) | Self::DeleteCiliumNode(t) => {
                t.key.to_string()
            }
            Self::ServiceAddresses(write) => write.service.key.to_string(),
            Self::PoolConditions(write) => write.pool.key.to_string(),
            Self::Event { about, .. } => about.name.clone().unwrap_or_default(),
        }
    }

    fn makes(&self) -> bool {
        matches!(self, Self::CreateIdentity { .. } | Self::Event { .. })
    }

    /// What was done, for the log.
    pub fn sentence(&self) -> String {
        match self {
            Self::PodCidrs { cidrs, .. } => {
                format!("podCIDRs {} given to the node", display_list(cidrs))
            }
            Self::IpamError {
                error: Some(error), ..
            } => format!("node told: {error}"),
            Self::IpamError { error: None, .. } => "address error of the node cleared".to_owned(),
            Self::CreateIdentity { labels, .. } => {
                format!("identity made for {}", labels.to_list().join(","))
            }
            Self::DeleteIdentity(_) => "unused identity removed".to_owned(),
            Self::DeleteEndpoint(_) => "endpoint without its pod removed".to_owned(),
            Self::DeleteCiliumNode(_) => "CiliumNode of a Node that is gone removed".to_owned(),
            Self::SetTaints { .. } => format!("taint {} removed", names::AGENT_NOT_READY_TAINT),
            Self::NetworkAvailable { .. } => "condition NetworkUnavailable=False set".to_owned(),
            Self::PolicyValid {
                status, message, ..
            } => format!("condition Valid={status} set: {message}"),
            Self::NodeLabels { labels, .. } => {
                format!(
                    "{} labels of the Node given to its CiliumNode",
                    labels.len()
                )
            }
            Self::ServiceAddresses(write) => write.sentence(),
            Self::PoolConditions(write) => write.sentence(),
            Self::Event { note, .. } => format!("event: {note}"),
        }
    }
}

fn display_list<T: fmt::Display>(items: &[T]) -> String {
    items
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// How a write ended.
#[derive(Debug)]
pub enum Outcome {
    /// Carried out.
    Done,
    /// The object has changed or gone, or exists already; the next look will tell.
    Stale,
    /// Worth a retry and a line in the log.
    Failed(WriteError),
}

impl Outcome {
    /// Label in metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Done => "success",
            Self::Stale => "stale",
            Self::Failed(_) => "fail",
        }
    }
}

/// Why a write failed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The Lease is not held, or not surely.
    #[error("not written: this replica does not hold the Lease")]
    NotLeading,
    /// The API server refused or could not be asked.
    #[error("the API server did not take the write")]
    Api(#[source] kube::Error),
    /// The API server did not answer.
    #[error("the API server did not answer within {} s; whether it took the write will show", LIMIT.as_secs())]
    Timeout,
}

/// Until when this replica surely leads; `None` when it does not.
pub type Leading = watch::Receiver<Option<Instant>>;

/// Carries writes out, as long as this replica leads.
pub struct Writer {
    client: Client,
    leading: Leading,
    events: Events,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("leading", &*self.leading.borrow())
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// A writer for a replica called `instance`.
    pub fn new(client: Client, leading: Leading, instance: &str) -> Self {
        Self {
            events: Events::new(client.clone(), instance),
            client,
            leading,
        }
    }

    /// Carries one write out.
    pub async fn carry_out(&self, write: &Write) -> Outcome {
        if self
            .leading
            .borrow()
            .is_none_or(|until| Instant::now() >= until)
        {
            return Outcome::Failed(WriteError::NotLeading);
        }
        let Ok(sent) = timeout(LIMIT, self.send(write)).await else {
            return Outcome::Failed(WriteError::Timeout);
        };
        match sent {
            Ok(()) => Outcome::Done,
            Err(kube::Error::Api(status)) if status.code == 409 => Outcome::Stale,
            // What is to be made cannot be missing: then it is the kind that is, and that needs a retry.
            Err(kube::Error::Api(status)) if status.code == 404 && !write.makes() => Outcome::Stale,
            Err(error) => Outcome::Failed(WriteError::Api(error)),
        }
    }

    async fn send(&self, write: &Write) -> kube::Result<()> {
        match write {
            Write::PodCidrs { node, cidrs } => {
                self.apply_node(node, names::OPERATOR, pod_cidrs(node, cidrs))
                    .await
            }
            Write::IpamError { node, error } => {
                let body = json!({"status": {"ipam": {"operator-status": {"error": error}}}});
                self.status::<CiliumNode>(node, Patch::Merge(body)).await
            }
            Write::CreateIdentity { number, labels } => {
                let identity = CiliumIdentity::new(*number, labels.clone());
                self.all()
                    .create(&PostParams::default(), &identity)
                    .await
                    .map(drop)
            }
            Write::DeleteIdentity(target) => {
                self.delete(self.all::<CiliumIdentity>(), target).await
            }
            Write::DeleteCiliumNode(target) => self.delete(self.all::<CiliumNode>(), target).await,
            Write::DeleteEndpoint(target) => {
                self.delete(self.within::<CiliumEndpoint>(&target.key.namespace), target)
                    .await
            }
            Write::SetTaints { node, taints } => {
                let body = Patch::Merge(set_taints(node, taints));
                self.all::<Node>()
                    .patch(&node.key.name, &PatchParams::default(), &body)
                    .await
                    .map(drop)
            }
            Write::NetworkAvailable { node } => {
                self.status::<Node>(node, Patch::Strategic(network_available(Timestamp::now())))
                    .await
            }
            Write::NodeLabels { node, labels } => {
                self.apply_node(node, NODE_LABELS_MANAGER, node_labels(node, labels))
                    .await
            }
            Write::PolicyValid { policy, .. } => match policy.key.namespace.as_str() {
                "" => {
                    let api = self.all::<CiliumClusterwideNetworkPolicy>();
                    policy_status(api, &policy.key.name, write).await
                }
                namespace => {
                    let api = self.within::<CiliumNetworkPolicy>(namespace);
                    policy_status(api, &policy.key.name, write).await
                }
            },
            Write::ServiceAddresses(write) => write.send(&self.client, Timestamp::now()).await,
            Write::PoolConditions(write) => write.send(&self.client, Timestamp::now()).await,
            Write::Event {
                about,
                reason,
                note,
            } => self.events.say(about, reason, note).await,
        }
    }

    async fn apply_node(&self, node: &Target, manager: &str, body: Value) -> kube::Result<()> {
        let params = PatchParams::apply(manager).force();
        self.all::<CiliumNode>()
            .patch(&node.key.name, &params, &Patch::Apply(body))
            .await
            .map(drop)
    }

    async fn status<K>(&self, name: &str, patch: Patch<Value>) -> kube::Result<()>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.all::<K>()
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .map(drop)
    }

    fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.client.clone())
    }

    fn within<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn delete<K: Clone + DeserializeOwned + fmt::Debug>(
        &self,
        api: Api<K>,
        target: &Target,
    ) -> kube::Result<()> {
        let preconditions = Preconditions {
            uid: target.uid.clone(),
            resource_version: target.resource_version.clone(),
        };
        let params = DeleteParams {
            preconditions: Some(preconditions),
            ..DeleteParams::default()
        };
        api.delete(&target.key.name, &params).await.map(drop)
    }
}

async fn policy_status<K>(api: Api<K>, name: &str, write: &Write) -> kube::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + fmt::Debug,
{
    let body = policy_valid(&K::kind(&()), write, Timestamp::now());
    let params = PatchParams::apply(names::OPERATOR).force();
    api.patch_status(name, &params, &Patch::Apply(body))
        .await
        .map(drop)
}

#[cfg(test)]
mod tests;
