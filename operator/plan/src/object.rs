//! The name of one object in the cluster.

use std::fmt;

use kube_core::DynamicObject;
use serde::{Deserialize, Serialize};

/// Kinds that hold what people put there, or that others live in. Never deleted by the operator.
const KEPT: [&str; 4] = [
    "CustomResourceDefinition",
    "Namespace",
    "PersistentVolume",
    "PersistentVolumeClaim",
];
/// Kinds whose pods have to be gone before the object counts as gone.
const WORKLOADS: [&str; 5] = ["CronJob", "DaemonSet", "Deployment", "Job", "StatefulSet"];

/// Group, version, kind, namespace and name of one object. `Display` is what people read: `Deployment gloo-mesh/redis`.
///
/// Two keys that differ only in their version name the same object; compare with [`ObjectKey::same_object`] where a key
/// may come from an older release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// API group, empty for the core group.
    pub group: String,
    /// API version, for example `v1`.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace, absent for cluster-scoped objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// Key of a rendered or read object; `None` when it lacks kind or name.
    pub fn of(object: &DynamicObject) -> Option<Self> {
        let types = object.types.as_ref()?;
        let (group, version) = types
            .api_version
            .split_once('/')
            .unwrap_or(("", &types.api_version));
        Some(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: types.kind.clone(),
            namespace: object.metadata.namespace.clone(),
            name: object.metadata.name.clone()?,
        })
    }

    /// Key of a Secret.
    pub fn secret(namespace: &str, name: &str) -> Self {
        Self {
            group: String::new(),
            version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    /// True when the operator must never delete such an object: it may hold what is not ours.
    pub fn is_kept(&self) -> bool {
        KEPT.contains(&self.kind.as_str())
    }

    /// True when the object runs pods.
    pub fn is_workload(&self) -> bool {
        WORKLOADS.contains(&self.kind.as_str())
    }

    /// True when both name the same object, whatever API version they name it by.
    pub fn same_object(&self, other: &Self) -> bool {
        (&self.group, &self.kind, &self.namespace, &self.name)
            == (&other.group, &other.kind, &other.namespace, &other.name)
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(out, "{} {namespace}/{}", self.kind, self.name),
            None => write!(out, "{} {}", self.kind, self.name),
        }
    }
}
