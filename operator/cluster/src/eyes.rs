//! Watches, and a small memory of what they showed.
//!
//! Each watched object is cut down to a few words as it arrives, so memory does not grow with managed fields, annotations
//! or container specifications. One undecodable object is reported and skipped; it never ends a watch.

mod pod;
mod row;
mod secret;
mod table;
mod workload;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use gloonet_api::{
    COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL, MESH_NAMESPACE, OPERATOR_NAMESPACE,
};
use gloonet_daemon::watching::{Pauses, interrupted};
use gloonet_plan::ObjectKey;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    runtime::{WatchStreamExt, watcher},
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::apply::resource_of;
pub use row::{Row, Tracked};
pub use secret::{Certificate, SecretView};
pub use table::{Seen, Table};

/// Triggers that wait to be read; more are dropped, because one is enough to look again.
const TRIGGERS: usize = 64;

/// Something that can be watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// `GlooNetwork` objects.
    Platform,
    /// Objects of one kind, in one namespace or without namespaces, that carry our label.
    Ours {
        /// API group, empty for the core group.
        group: String,
        /// API version.
        version: String,
        /// Kind.
        kind: String,
        /// Namespace, absent for cluster-scoped kinds.
        namespace: Option<String>,
    },
    /// Pods of components, in one namespace.
    Pods(String),
    /// Nodes.
    Nodes,
    /// All Secrets of one namespace of ours; values are not kept.
    Secrets(String),
    /// One Secret of another namespace, by namespace and name: the others there are not ours to see.
    Secret(String, String),
    /// CiliumNodes.
    CiliumNodes,
}

impl Source {
    /// Where an object of this key is seen.
    pub fn of(key: &ObjectKey) -> Self {
        match &key.namespace {
            Some(namespace) if key.kind == "Secret" && key.group.is_empty() => {
                Self::secret(namespace, &key.name)
            }
            namespace => Self::Ours {
                group: key.group.clone(),
                version: key.version.clone(),
                kind: key.kind.clone(),
                namespace: namespace.clone(),
            },
        }
    }

    /// Where a Secret is seen.
    pub fn secret(namespace: &str, name: &str) -> Self {
        if [OPERATOR_NAMESPACE, MESH_NAMESPACE].contains(&namespace) {
            Self::Secrets(namespace.to_owned())
        } else {
            Self::Secret(namespace.to_owned(), name.to_owned())
        }
    }

    fn resource(&self) -> ApiResource {
        match self {
            Self::Platform => resource_of("gloonetwork.io", "v1alpha1", "GlooNetwork"),
            Self::Ours {
                group,
                version,
                kind,
                ..
            } => resource_of(group, version, kind),
            Self::Pods(_) => resource_of("", "v1", "Pod"),
            Self::Nodes => resource_of("", "v1", "Node"),
            Self::Secrets(_) | Self::Secret(..) => resource_of("", "v1", "Secret"),
            Self::CiliumNodes => resource_of("cilium.io", "v2", "CiliumNode"),
        }
    }

    fn namespace(&self) -> Option<&str> {
        match self {
            Self::Ours { namespace, .. } => namespace.as_deref(),
            Self::Pods(namespace) | Self::Secrets(namespace) | Self::Secret(namespace, _) => {
                Some(namespace)
            }
            Self::Platform | Self::Nodes | Self::CiliumNodes => None,
        }
    }

    fn selector(&self) -> Option<String> {
        match self {
            Self::Ours { .. } => Some(format!("{MANAGED_BY_LABEL}={MANAGED_BY}")),
            Self::Pods(_) => Some(COMPONENT_LABEL.to_owned()),
            Self::Platform
            | Self::Nodes
            | Self::Secrets(_)
            | Self::Secret(..)
            | Self::CiliumNodes => None,
        }
    }

    /// RBAC lets a list of one name pass only when it asks for that name.
    fn fields(&self) -> Option<String> {
        match self {
            Self::Secret(_, name) => Some(format!("metadata.name={name}")),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.resource().kind;
        match self.namespace() {
            Some(namespace) => write!(out, "{kind} in {namespace}"),
            None => out.write_str(&kind),
        }
    }
}

/// Watches and their memory. Dropping it ends the watches.
pub struct Eyes {
    client: Client,
    seen: Arc<Mutex<Seen>>,
    changed: mpsc::Sender<String>,
    tasks: Mutex<BTreeMap<Source, JoinHandle<()>>>,
}

impl fmt::Debug for Eyes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Eyes")
    }
}

impl Eyes {
    /// Without any watch yet. The receiver gets a sentence for each change that may matter.
    pub fn new(client: Client) -> (Self, mpsc::Receiver<String>) {
        let (changed, receiver) = mpsc::channel(TRIGGERS);
        let eyes = Self {
            client,
            seen: Arc::default(),
            changed,
            tasks: Mutex::default(),
        };
        (eyes, receiver)
    }

    /// Watches `source` from now on, if it is not watched already. A watch that panicked begins anew.
    pub fn follow(&self, source: Source) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        if tasks.get(&source).is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .expect(&source);
        let task = watch(
            self.client.clone(),
            source.clone(),
            Arc::clone(&self.seen),
            self.changed.clone(),
        );
        tasks.insert(source, tokio::spawn(task));
    }

    /// Looks at what was seen. The closure must be quick: watches wait meanwhile.
    pub fn read<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Eyes {
    fn drop(&mut self) {
        let tasks = self.tasks.get_mut().unwrap_or_else(PoisonError::into_inner);
        tasks.values().for_each(JoinHandle::abort);
    }
}

async fn watch(
    client: Client,
    source: Source,
    seen: Arc<Mutex<Seen>>,
    changed: mpsc::Sender<String>,
) {
    let resource = source.resource();
    let api: Api<DynamicObject> = match source.namespace() {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let config = watcher::Config {
        label_selector: source.selector(),
        field_selector: source.fields(),
        ..watcher::Config::default()
    };
    let mut stream = watcher(api, config).backoff(Pauses::default()).boxed();
    let mut failing = false;
    while let Some(event) = stream.next().await {
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                // The watch goes on by itself, with growing pauses; one line per outage is enough.
                if !std::mem::replace(&mut failing, true) {
                    interrupted(&source.to_string(), &error);
                }
                continue;
            }
        };
        failing = false;
        let change = seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&source, event);
        if let Some(change) = change {
            // A full channel already holds a reason to look again.
            drop(changed.try_send(change));
        }
    }
}
