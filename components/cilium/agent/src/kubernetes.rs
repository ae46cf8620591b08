//! The only module that speaks to the API server.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cilium_api::{
    CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumEndpoint, CiliumIdentity,
    CiliumNetworkPolicy, CiliumNode,
};
use gloonet_daemon::asking;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, ObjectMeta, Patch, PatchParams, PostParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::DeserializeGuard;
use kube::runtime::watcher;
use kube::{Client, Config, Resource};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::bell::{Bell, Bells};
use crate::metrics::calls::Calls;
use crate::publish::withdrawal;
use crate::watch::Cache;

const FIELD_MANAGER: &str = "cilium-agent";
/// A write that takes longer is tried again later.
const WRITE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub enum KubernetesError {
    #[error("cannot use the credentials in {0}")]
    Kubeconfig(String, #[source] kube::config::KubeconfigError),
    #[error(
        "cannot use the pod's ServiceAccount; set KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT to the API server"
    )]
    InCluster(#[source] kube::config::InClusterError),
    #[error("cannot set up the client of the API server")]
    Client(#[source] kube::Error),
    #[error("cannot {doing} {object}")]
    Request {
        doing: &'static str,
        object: String,
        #[source]
        source: kube::Error,
    },
    #[error("cannot {doing} {object}: no answer within {WRITE_LIMIT:?}")]
    Timeout { doing: &'static str, object: String },
}

#[derive(Clone)]
pub struct Kubernetes {
    client: Client,
    /// Where the API server is asked, unless that is a name.
    server: Option<(Ipv4Addr, u16)>,
}

impl std::fmt::Debug for Kubernetes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kubernetes")
    }
}

/// Everything that is watched.
#[derive(Debug)]
pub struct Watched {
    pub pods: Arc<Cache<Pod>>,
    pub namespaces: Arc<Cache<Namespace>>,
    pub services: Arc<Cache<Service>>,
    pub slices: Arc<Cache<EndpointSlice>>,
    pub nodes: Arc<Cache<CiliumNode>>,
    /// Whether it stays; load balancers ask.
    pub own_node: Arc<Cache<Node>>,
    pub endpoints: Arc<Cache<CiliumEndpoint>>,
    pub identities: Arc<Cache<CiliumIdentity>>,
    pub network_policies: Arc<Cache<NetworkPolicy>>,
    pub policies: Arc<Cache<CiliumNetworkPolicy>>,
    pub clusterwide_policies: Arc<Cache<CiliumClusterwideNetworkPolicy>>,
    pub cidr_groups: Arc<Cache<CiliumCIDRGroup>>,
}

/// Who wants to know of changes.
#[derive(Clone, Debug, Default)]
pub struct Readers {
    pub policy: Bell,
    pub names: Bell,
    pub network: Bell,
    pub services: Bell,
    pub publish: Bell,
    pub node: Bell,
    pub cluster_health: Bell,
}

impl Watched {
    pub fn new(readers: &Readers) -> Self {
        let bells = |bells: &[&Bell]| Bells::new(bells);
        Self {
            pods: Cache::new(bells(&[
                &readers.services,
                &readers.policy,
                &readers.publish,
                &readers.names,
            ])),
            namespaces: Cache::new(bells(&[&readers.policy])),
            services: Cache::new(bells(&[&readers.services, &readers.policy, &readers.names])),
            slices: Cache::new(bells(&[
                &readers.services,
                &readers.network,
                &readers.policy,
            ])),
            nodes: Cache::new(bells(&[
                &readers.network,
                &readers.services,
                &readers.node,
                &readers.policy,
                &readers.names,
                &readers.cluster_health,
            ])),
            // Read when somebody asks: the kubelet writes it all the time, and nothing follows from that.
            own_node: Cache::trimmed(bells(&[]), |node| node.status = None),
            endpoints: Cache::new(bells(&[
                &readers.network,
                &readers.publish,
                &readers.policy,
                &readers.names,
            ])),
            identities: Cache::trimmed(bells(&[&readers.policy, &readers.network]), |identity| {
                // There are thousands, and they are a number and its labels.
                let name = identity.metadata.name.take();
                let resource_version = identity.metadata.resource_version.take();
                identity.metadata = ObjectMeta {
                    name,
                    resource_version,
                    ..ObjectMeta::default()
                };
            }),
            network_policies: Cache::new(bells(&[&readers.policy])),
            policies: Cache::new(bells(&[&readers.policy])),
            clusterwide_policies: Cache::new(bells(&[&readers.policy])),
            cidr_groups: Cache::new(bells(&[&readers.policy])),
        }
    }

    /// Whether every kind has been listed once; of the own Node nothing waits.
    pub fn synced(&self) -> bool {
        self.unsynced().is_empty()
    }

    /// The kinds that have not been listed yet, for people.
    pub fn unsynced(&self) -> Vec<&'static str> {
        [
            ("pods", self.pods.synced()),
            ("namespaces", self.namespaces.synced()),
            ("services", self.services.synced()),
            ("endpointslices", self.slices.synced()),
            ("ciliumnodes", self.nodes.synced()),
            ("ciliumendpoints", self.endpoints.synced()),
            ("ciliumidentities", self.identities.synced()),
            ("networkpolicies", self.network_policies.synced()),
            ("ciliumnetworkpolicies", self.policies.synced()),
            (
                "ciliumclusterwidenetworkpolicies",
                self.clusterwide_policies.synced(),
            ),
            ("ciliumcidrgroups", self.cidr_groups.synced()),
        ]
        .into_iter()
        .filter_map(|(kind, synced)| (!synced).then_some(kind))
        .collect()
    }

    /// Why a watch is interrupted now, if one is.
    pub fn trouble(&self) -> Option<String> {
        self.pods
            .trouble()
            .or_else(|| self.services.trouble())
            .or_else(|| self.slices.trouble())
            .or_else(|| self.nodes.trouble())
            .or_else(|| self.own_node.trouble())
            .or_else(|| self.endpoints.trouble())
            .or_else(|| self.identities.trouble())
            .or_else(|| self.namespaces.trouble())
            .or_else(|| self.network_policies.trouble())
            .or_else(|| self.policies.trouble())
            .or_else(|| self.clusterwide_policies.trouble())
            .or_else(|| self.cidr_groups.trouble())
    }
}

impl Kubernetes {
    /// Makes no request yet. Those to come are counted in `calls`.
    pub async fn connect(
        kubeconfig: Option<&Path>,
        calls: &Calls,
    ) -> Result<Self, KubernetesError> {
        let config = match kubeconfig {
            Some(path) => from_file(path)
                .await
                .map_err(|error| KubernetesError::Kubeconfig(path.display().to_string(), error))?,
            None => Config::incluster_env().map_err(KubernetesError::InCluster)?,
        };
        let server = server_of(&config.cluster_url);
        let host = config.cluster_url.authority().map(ToString::to_string);
        let counted = calls.to(host.unwrap_or_default());
        let client = ClientBuilder::try_from(asking::prudent(config));
        let client = client
            .map_err(KubernetesError::Client)?
            .with_layer(&counted);
        Ok(Self {
            client: client.build(),
            server,
        })
    }

    /// The address and port at which the API server is asked; none where it has a name.
    pub fn server(&self) -> Option<(Ipv4Addr, u16)> {
        self.server
    }

    /// Starts one watch per kind. They end with `tasks`.
    pub fn watch(&self, watched: &Watched, node: &str, tasks: &mut JoinSet<()>) {
        let all = watcher::Config::default;
        let own = all().fields(&format!("spec.nodeName={node}"));
        tasks.spawn(watched.pods.clone().follow(self.all(), own));
        tasks.spawn(watched.namespaces.clone().follow(self.all(), all()));
        tasks.spawn(watched.services.clone().follow(self.all(), all()));
        tasks.spawn(watched.slices.clone().follow(self.all(), all()));
        tasks.spawn(watched.nodes.clone().follow(self.all(), all()));
        let itself = all().fields(&format!("metadata.name={node}"));
        tasks.spawn(watched.own_node.clone().follow(self.all(), itself));
        tasks.spawn(watched.endpoints.clone().follow(self.all(), all()));
        tasks.spawn(watched.identities.clone().follow(self.all(), all()));
        tasks.spawn(watched.network_policies.clone().follow(self.all(), all()));
        tasks.spawn(watched.policies.clone().follow(self.all(), all()));
        let clusterwide = watched.clusterwide_policies.clone();
        tasks.spawn(clusterwide.follow(self.all(), all()));
        tasks.spawn(watched.cidr_groups.clone().follow(self.all(), all()));
    }

    fn all<K: Resource<DynamicType = ()>>(&self) -> Api<DeserializeGuard<K>> {
        Api::all(self.client.clone())
    }

    /// Server-side apply of the fields that are ours.
    pub async fn apply_cilium_node(
        &self,
        name: &str,
        object: &Value,
    ) -> Result<(), KubernetesError> {
        let api: Api<CiliumNode> = Api::all(self.client.clone());
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(object);
        limited(
            "write",
            format!("CiliumNode {name}"),
            api.patch(name, &parameters, &patch),
        )
        .await
        .map(drop)
    }

    /// Server-side apply of an endpoint of this node.
    pub async fn apply_cilium_endpoint(
        &self,
        endpoint: &CiliumEndpoint,
    ) -> Result<(), KubernetesError> {
        let namespace = endpoint.metadata.namespace.as_deref().unwrap_or_default();
        let name = endpoint.metadata.name.as_deref().unwrap_or_default();
        let api: Api<CiliumEndpoint> = Api::namespaced(self.client.clone(), namespace);
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let patch = Patch::Apply(endpoint);
        let object = format!("CiliumEndpoint {namespace}/{name}");
        limited("write", object, api.patch(name, &parameters, &patch))
            .await
            .map(drop)
    }

    /// Takes back where an endpoint is. `false`: it is gone or was written since it was seen, which the watch will tell.
    pub async fn withdraw_cilium_endpoint(
        &self,
        endpoint: &CiliumEndpoint,
    ) -> Result<bool, KubernetesError> {
        let namespace = endpoint.metadata.namespace.as_deref().unwrap_or_default();
        let name = endpoint.metadata.name.as_deref().unwrap_or_default();
        let api: Api<CiliumEndpoint> = Api::namespaced(self.client.clone(), namespace);
        let parameters = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Merge(withdrawal(endpoint));
        let object = format!("CiliumEndpoint {namespace}/{name}");
        match limited("withdraw", object, api.patch(name, &parameters, &patch)).await {
            Err(KubernetesError::Request {
                source: kube::Error::Api(refusal),
                ..
            }) if matches!(refusal.code, 404 | 409) => Ok(false),
            withdrawn => withdrawn.map(|_| true),
        }
    }

    /// A Warning event about the agent's own pod.
    pub async fn warn_about_pod(
        &self,
        pod: &OwnPod,
        reason: &str,
        note: &str,
    ) -> Result<(), KubernetesError> {
        let events: Api<k8s_openapi::api::events::v1::Event> =
            Api::namespaced(self.client.clone(), &pod.namespace);
        let event = pod.event(reason, note, Timestamp::now());
        let decoded = serde_json::from_value(event).map_err(|error| KubernetesError::Request {
            doing: "encode",
            object: format!("an event about Pod {}/{}", pod.namespace, pod.name),
            source: kube::Error::SerdeError(error),
        })?;
        let object = format!("an event about Pod {}/{}", pod.namespace, pod.name);
        limited(
            "write",
            object,
            events.create(&PostParams::default(), &decoded),
        )
        .await
        .map(drop)
    }
}

/// The pod the agent runs in.
#[derive(Clone, Debug)]
pub struct OwnPod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub node: String,
}

impl OwnPod {
    fn event(&self, reason: &str, note: &str, now: Timestamp) -> Value {
        json!({
            "metadata": {"name": format!("{}.{:x}", self.name, now.as_microsecond()), "namespace": self.namespace},
            "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            "reportingController": "cilium-agent",
            "reportingInstance": self.node,
            "action": "Configure",
            "type": "Warning",
            "reason": reason,
            "note": gloonet_daemon::events::note(note),
            "regarding": {
                "apiVersion": "v1", "kind": "Pod",
                "namespace": self.namespace, "name": self.name, "uid": self.uid,
            },
        })
    }
}

fn server_of(url: &http::Uri) -> Option<(Ipv4Addr, u16)> {
    let ip = url.host()?.parse().ok()?;
    Some((ip, url.port_u16().unwrap_or(443)))
}

async fn from_file(path: &Path) -> Result<Config, kube::config::KubeconfigError> {
    Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &KubeConfigOptions::default())
        .await
}

async fn limited<T>(
    doing: &'static str,
    object: String,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, KubernetesError> {
    match tokio::time::timeout(WRITE_LIMIT, request).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(KubernetesError::Request {
            doing,
            object,
            source,
        }),
        Err(_) => Err(KubernetesError::Timeout { doing, object }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_is_known_by_its_address_and_port_and_not_by_a_name() {
        let server = |url: &str| server_of(&url.parse().unwrap());
        let ip = Ipv4Addr::new(172, 30, 0, 10);
        assert_eq!(server("https://172.30.0.10:6443/"), Some((ip, 6443)));
        assert_eq!(server("https://172.30.0.10"), Some((ip, 443)));
        assert_eq!(server("https://kubernetes.example:6443"), None);
    }

    #[test]
    fn an_event_is_one_the_api_server_takes_and_its_note_is_cut_to_the_limit() {
        let pod = OwnPod {
            namespace: "kube-system".to_owned(),
            name: "cilium-abcde".to_owned(),
            uid: "u1".to_owned(),
            node: "worker-1".to_owned(),
        };
        let event = pod.event("Why", &"ä".repeat(5000), Timestamp::UNIX_EPOCH);
        assert_eq!(event["metadata"]["name"], "cilium-abcde.0");
        assert_eq!(event["eventTime"], "1970-01-01T00:00:00.000000Z");
        let decoded: k8s_openapi::api::events::v1::Event = serde_json::from_value(event).unwrap();
        // Of two bytes each, and three for what says that there was more.
        assert_eq!(decoded.note.unwrap().len(), 1023);
        assert_eq!(decoded.regarding.unwrap().uid.as_deref(), Some("u1"));
    }
}
