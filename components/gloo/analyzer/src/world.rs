//! What the API server tells: one watch per kind, stripped of what no analyzer reads.

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use futures::StreamExt;
use gloonet_daemon::watching::{Pauses, QUIET, interrupted};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{Namespace, Node, Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, Resource,
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
    runtime::{
        WatchStreamExt,
        reflector::{self, Lookup, Store},
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

/// A watch that fails for longer says nothing about now.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why objects of a kind are not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error("{kind} are not read yet")]
    NotYet { kind: &'static str },
    #[error("{kind} cannot be read: {why}")]
    Failed { kind: &'static str, why: String },
}

#[derive(Debug, Clone)]
enum State {
    Reading,
    Ready,
    /// The cluster does not know the kind.
    Absent,
    Failing {
        since: Instant,
        last: Instant,
        why: String,
        was_ready: bool,
    },
}

/// All objects of a kind.
pub struct Table<K>
where
    K: Lookup + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    kind: &'static str,
    store: Store<K>,
    state: Arc<RwLock<State>>,
}

impl<K> Debug for Table<K>
where
    K: Lookup + Clone + 'static,
    K::DynamicType: Eq + Hash + Clone,
{
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Table")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl<K> Table<K>
where
    K: Lookup + Clone + Debug + Send + Sync + 'static,
    K: Resource<DynamicType = <K as Lookup>::DynamicType> + DeserializeOwned,
    <K as Lookup>::DynamicType: Eq + Hash + Clone + Debug + Send + Sync,
{
    /// Begins to watch, until `closing`.
    fn follow(
        kind: &'static str,
        api: Api<K>,
        dynamic: <K as Lookup>::DynamicType,
        strip: fn(&mut K),
        closing: &CancellationToken,
    ) -> Self {
        let writer = reflector::store::Writer::new(dynamic);
        let store = writer.as_reader();
        let state = Arc::new(RwLock::new(State::Reading));
        let said = state.clone();
        let events = watcher(api, watcher::Config::default())
            .backoff(Pauses::default())
            .modify(strip);
        let closing = closing.clone();
        tokio::spawn(async move {
            let mut events = reflector::reflector(writer, events).boxed();
            while let Some(Some(event)) = closing.run_until_cancelled(events.next()).await {
                note(kind, &said, &event);
            }
        });
        Self { kind, store, state }
    }

    /// The objects there are. A kind the cluster does not know has none.
    pub fn all(&self) -> Result<Vec<Arc<K>>, ReadError> {
        let kind = self.kind;
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Reading => Err(ReadError::NotYet { kind }),
            State::Ready => Ok(self.store.state()),
            State::Absent => Ok(Vec::new()),
            State::Failing {
                since,
                last,
                why,
                was_ready,
            } => {
                if *was_ready && (since.elapsed() < PATIENCE || last.elapsed() > QUIET) {
                    return Ok(self.store.state());
                }
                let why = why.clone();
                Err(ReadError::Failed { kind, why })
            }
        }
    }
}

fn note<K>(
    kind: &'static str,
    state: &RwLock<State>,
    event: &Result<watcher::Event<K>, watcher::Error>,
) {
    let mut state = state.write().unwrap_or_else(PoisonError::into_inner);
    let next = match event {
        Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => return,
        Ok(_) => State::Ready,
        Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 404 => {
            State::Absent
        }
        Err(error) => {
            let (since, was_ready) = match &*state {
                State::Failing {
                    since,
                    last,
                    was_ready,
                    ..
                } => ((last.elapsed() <= QUIET).then_some(*since), *was_ready),
                State::Ready => (None, true),
                State::Reading | State::Absent => (None, false),
            };
            let why = gloonet_daemon::error::chain(error);
            if since.is_none() {
                interrupted(kind, error);
            }
            let last = Instant::now();
            State::Failing {
                since: since.unwrap_or(last),
                last,
                why,
                was_ready,
            }
        }
    };
    *state = next;
}

/// Every kind that some analyzer reads.
#[derive(Debug)]
pub struct World {
    pub pods: Table<Pod>,
    pub nodes: Table<Node>,
    pub namespaces: Table<Namespace>,
    pub services: Table<Service>,
    pub daemonsets: Table<DaemonSet>,
    pub deployments: Table<Deployment>,
    pub network_policies: Table<NetworkPolicy>,
    pub cilium_policies: Table<DynamicObject>,
    pub cilium_clusterwide: Table<DynamicObject>,
    pub cilium_endpoints: Table<DynamicObject>,
    pub cilium_nodes: Table<DynamicObject>,
    pub cilium_identities: Table<DynamicObject>,
    pub gloonetworks: Table<DynamicObject>,
    pub workspaces: Table<DynamicObject>,
    pub workspace_settings: Table<DynamicObject>,
    pub access_policies: Table<DynamicObject>,
}

impl World {
    /// Begins to watch everything.
    pub fn watch(client: &Client, closing: &CancellationToken) -> Self {
        Self {
            pods: typed("Pods", client, strip_pod, closing),
            nodes: typed("Nodes", client, strip_node, closing),
            namespaces: typed("Namespaces", client, strip_metadata, closing),
            services: typed("Services", client, strip_metadata, closing),
            daemonsets: typed("DaemonSets", client, strip_metadata, closing),
            deployments: typed("Deployments", client, strip_metadata, closing),
            network_policies: typed("NetworkPolicies", client, strip_metadata, closing),
            cilium_policies: cilium("CiliumNetworkPolicy", client, strip_metadata, closing),
            cilium_clusterwide: cilium(
                "CiliumClusterwideNetworkPolicy",
                client,
                strip_metadata,
                closing,
            ),
            cilium_endpoints: cilium("CiliumEndpoint", client, strip_all, closing),
            cilium_nodes: cilium("CiliumNode", client, strip_metadata, closing),
            cilium_identities: cilium("CiliumIdentity", client, strip_all, closing),
            gloonetworks: dynamic(
                "GlooNetwork",
                &GroupVersionKind::gvk("gloonetwork.io", "v1alpha1", "GlooNetwork"),
                client,
                strip_metadata,
                closing,
            ),
            workspaces: admin("Workspace", "workspaces", client, closing),
            workspace_settings: admin("WorkspaceSettings", "workspacesettings", client, closing),
            access_policies: plural(
                "AccessPolicy",
                "security.policy.gloo.solo.io",
                "accesspolicies",
                client,
                closing,
            ),
        }
    }
}

fn typed<K>(
    kind: &'static str,
    client: &Client,
    strip: fn(&mut K),
    closing: &CancellationToken,
) -> Table<K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    Table::follow(kind, Api::all(client.clone()), (), strip, closing)
}

fn cilium(
    kind: &'static str,
    client: &Client,
    strip: fn(&mut DynamicObject),
    closing: &CancellationToken,
) -> Table<DynamicObject> {
    let gvk = GroupVersionKind::gvk("cilium.io", "v2", kind);
    dynamic(kind, &gvk, client, strip, closing)
}

fn admin(
    kind: &'static str,
    plural_name: &str,
    client: &Client,
    closing: &CancellationToken,
) -> Table<DynamicObject> {
    plural(kind, "admin.gloo.solo.io", plural_name, client, closing)
}

fn plural(
    kind: &'static str,
    group: &str,
    plural: &str,
    client: &Client,
    closing: &CancellationToken,
) -> Table<DynamicObject> {
    let gvk = GroupVersionKind::gvk(group, "v2", kind);
    let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
    let api = Api::all_with(client.clone(), &resource);
    Table::follow(kind, api, resource, strip_metadata, closing)
}

fn dynamic(
    kind: &'static str,
    gvk: &GroupVersionKind,
    client: &Client,
    strip: fn(&mut DynamicObject),
    closing: &CancellationToken,
) -> Table<DynamicObject> {
    let resource = ApiResource::from_gvk(gvk);
    let api = Api::all_with(client.clone(), &resource);
    Table::follow(kind, api, resource, strip, closing)
}

fn strip_metadata<K: Resource>(object: &mut K) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    metadata.annotations = None;
}

/// Nothing is read of these but that they are there, and when they were made.
fn strip_all(object: &mut DynamicObject) {
    strip_metadata(object);
    object.metadata.labels = None;
    object.data = serde_json::Value::Null;
}

/// A pod's environment, arguments and volumes may hold secrets; nothing reads them.
fn strip_pod(pod: &mut Pod) {
    strip_metadata(pod);
    let Some(spec) = &mut pod.spec else { return };
    spec.volumes = None;
    spec.init_containers = None;
    spec.affinity = None;
    spec.tolerations = None;
    for container in &mut spec.containers {
        container.env = None;
        container.env_from = None;
        container.args = None;
        container.command = None;
        container.volume_mounts = None;
        container.liveness_probe = None;
        container.readiness_probe = None;
        container.startup_probe = None;
    }
}

fn strip_node(node: &mut Node) {
    strip_metadata(node);
    if let Some(status) = &mut node.status {
        status.images = None;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CANARY: &str = "canary-77aa";

    #[test]
    fn of_a_pod_nothing_is_kept_that_may_be_secret() {
        let mut pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "a", "annotations": {"token": CANARY}},
            "spec": {
                "containers": [{
                    "name": "a", "image": "x", "args": [CANARY], "command": [CANARY],
                    "env": [{"name": "PASSWORD", "value": CANARY}],
                }],
                "initContainers": [{"name": "i", "env": [{"name": "A", "value": CANARY}]}],
                "volumes": [{"name": "v", "secret": {"secretName": CANARY}}],
            },
        }))
        .unwrap();
        strip_pod(&mut pod);
        assert!(!serde_json::to_string(&pod).unwrap().contains(CANARY));
        assert_eq!(pod.spec.unwrap().containers[0].image.as_deref(), Some("x"));
    }

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_hours(1);

    fn table(state: State) -> Table<Pod> {
        let writer = reflector::store::Writer::new(());
        Table {
            kind: "Pods",
            store: writer.as_reader(),
            state: Arc::new(RwLock::new(state)),
        }
    }

    fn failing(was_ready: bool, since: Duration, last: Duration) -> State {
        let ago = |ago| Instant::now().checked_sub(ago).unwrap();
        State::Failing {
            since: ago(since),
            last: ago(last),
            why: "403".to_owned(),
            was_ready,
        }
    }

    #[test]
    fn a_watch_that_fails_is_believed_for_a_while_and_a_kind_that_is_not_there_is_empty() {
        let all = |state| table(state).all();
        assert!(matches!(all(State::Reading), Err(ReadError::NotYet { .. })));
        assert!(all(failing(true, SECOND, SECOND)).is_ok());
        let error = all(failing(true, HOUR, SECOND)).unwrap_err().to_string();
        assert_eq!(error, "Pods cannot be read: 403");
        assert!(all(failing(false, Duration::ZERO, Duration::ZERO)).is_err());
        assert!(all(State::Absent).unwrap().is_empty());
    }

    #[test]
    fn a_watch_that_stumbled_and_says_nothing_more_runs_unless_it_never_did() {
        let quiet = QUIET + SECOND;
        assert!(table(failing(true, HOUR, quiet)).all().is_ok());
        assert!(table(failing(false, HOUR, quiet)).all().is_err());
    }

    #[test]
    fn a_watch_that_fails_anew_after_it_ran_is_believed_anew_and_one_that_goes_on_failing_is_not() {
        for (last, believed) in [(QUIET + SECOND, true), (SECOND, false)] {
            let table = table(failing(true, HOUR, last));
            let error: Result<watcher::Event<Pod>, _> = Err(watcher::Error::NoResourceVersion);
            note("Pods", &table.state, &error);
            assert_eq!(table.all().is_ok(), believed, "{last:?}");
        }
    }
}
