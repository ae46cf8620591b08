//! From a pod and its namespace to the label set its identity stands for.
//!
//! The operator allocates a number per set; the agent of the pod's node computes the same set and looks the number up.
//! Both call [`identity_labels`], so that they cannot disagree. Source of the filter: Cilium's default label prefixes
//! (`pkg/labelsfilter`, documentation "Limiting Identity-Relevant Labels").

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use k8s_openapi::api::core::v1::{Namespace, Pod};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::names::{
    CLUSTER_LABEL, K8S_SOURCE, NAMESPACE_LABELS_PREFIX, POD_NAMESPACE_LABEL, SERVICE_ACCOUNT_LABEL,
};

/// A set of labels whose keys carry their source (`k8s:app`), always in order of the key.
///
/// A copy is the same memory: an agent keeps each set in several places, and there are thousands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(transparent)]
pub struct LabelSet(Arc<BTreeMap<String, String>>);

impl Serialize for LabelSet {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for LabelSet {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(from).map(|labels| Self(Arc::new(labels)))
    }
}

impl LabelSet {
    /// The labels by key with source.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// Each label as `source:key=value`, in order: the form of `CiliumEndpoint.status.identity.labels`.
    pub fn to_list(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }

    /// The one text every equal set has: `source:key=value;` in order of the key.
    pub fn canonical(&self) -> String {
        self.0.iter().fold(String::new(), |mut text, (key, value)| {
            let _ = write!(text, "{key}={value};");
            text
        })
    }

    /// SHA-256 of [`Self::canonical`], in lower-case hexadecimal.
    pub fn hash(&self) -> String {
        Sha256::digest(self.canonical())
            .iter()
            .fold(String::new(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    /// Namespace of the pods with this set.
    pub fn namespace(&self) -> Option<&str> {
        self.0.get(&key(POD_NAMESPACE_LABEL)).map(String::as_str)
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for LabelSet {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        let labels = labels.into_iter().map(|(k, v)| (k.into(), v.into()));
        Self(Arc::new(labels.collect()))
    }
}

/// The label set of a pod's identity.
///
/// Namespace, cluster and ServiceAccount come from the objects, never from labels a tenant can write: pod labels under
/// their keys are ignored, see [`reserved_pod_labels`]. Labels that differ from pod to pod are left out, or each pod
/// would have an identity of its own.
pub fn identity_labels(pod: &Pod, namespace: &Namespace, cluster: &str) -> LabelSet {
    labels_without(is_reserved, pod, namespace, cluster)
}

/// `reserved` says which labels of the pod are not the pod's to say.
fn labels_without(
    reserved: fn(&str) -> bool,
    pod: &Pod,
    namespace: &Namespace,
    cluster: &str,
) -> LabelSet {
    let name = namespace
        .metadata
        .name
        .as_deref()
        .or(pod.metadata.namespace.as_deref())
        .unwrap_or("default");
    let service_account = pod
        .spec
        .as_ref()
        .and_then(|s| s.service_account_name.as_deref())
        .filter(|s| !s.is_empty());
    let pod_labels = pod
        .metadata
        .labels
        .iter()
        .flatten()
        .filter(|(k, _)| !reserved(k));
    let namespace_labels = namespace.metadata.labels.iter().flatten();

    let mut labels: BTreeMap<String, String> = pod_labels
        .map(|(k, v)| (k.clone(), v.clone()))
        .chain(namespace_labels.map(|(k, v)| (format!("{NAMESPACE_LABELS_PREFIX}.{k}"), v.clone())))
        .filter(|(k, _)| is_identity_relevant(k))
        .collect();
    labels.insert(POD_NAMESPACE_LABEL.to_owned(), name.to_owned());
    labels.insert(CLUSTER_LABEL.to_owned(), cluster.to_owned());
    labels.insert(
        SERVICE_ACCOUNT_LABEL.to_owned(),
        service_account.unwrap_or("default").to_owned(),
    );
    labels.into_iter().map(|(k, v)| (key(&k), v)).collect()
}

/// Labels of a pod that claim to be what only the CNI may say; they are ignored and worth a warning.
pub fn reserved_pod_labels(pod: &Pod) -> Vec<&str> {
    pod.metadata
        .labels
        .iter()
        .flatten()
        .map(|(k, _)| k.as_str())
        .filter(|k| is_reserved(k))
        .collect()
}

fn key(name: &str) -> String {
    format!("{K8S_SOURCE}:{name}")
}

/// Whether every pod's identity has this label from the CNI: its namespace, cluster, ServiceAccount, and the labels of
/// its namespace.
pub fn is_said_by_cni(key: &str) -> bool {
    [POD_NAMESPACE_LABEL, CLUSTER_LABEL, SERVICE_ACCOUNT_LABEL].contains(&key)
        || key
            .strip_prefix(NAMESPACE_LABELS_PREFIX)
            .is_some_and(|rest| rest.starts_with('.'))
}

/// Whether only the CNI may say what this label says: pods cannot bring it into their identity.
pub fn is_reserved(key: &str) -> bool {
    key.starts_with("io.cilium.k8s.")
        || key.starts_with("io.kubernetes.pod.")
        || key.starts_with("reserved")
}

/// One line of the filter: the part of a key it matches, from the key's start.
enum Rule {
    Include(&'static str),
    Ignore(&'static str),
    /// Matches up to the end of the last occurrence of the text, wherever it is.
    IgnoreAnywhere(&'static str),
}

const RULES: &[Rule] = &[
    Rule::Include(POD_NAMESPACE_LABEL),
    Rule::Include(NAMESPACE_LABELS_PREFIX),
    Rule::Include("app.kubernetes.io"),
    Rule::Include(CLUSTER_LABEL),
    Rule::Include(SERVICE_ACCOUNT_LABEL),
    Rule::Ignore("io.kubernetes"),
    Rule::Ignore("kubernetes.io"),
    Rule::Ignore("statefulset.kubernetes.io/pod-name"),
    Rule::Ignore("apps.kubernetes.io/pod-index"),
    Rule::Ignore("batch.kubernetes.io/job-completion-index"),
    Rule::Ignore("batch.kubernetes.io/controller-uid"),
    // Kubernetes copies a node's onto its pods (PodTopologyLabels): each zone would make identities of its own.
    Rule::Ignore("topology.kubernetes.io"),
    Rule::IgnoreAnywhere("beta.kubernetes.io"),
    Rule::Ignore("k8s.io"),
    Rule::Ignore("pod-template-generation"),
    Rule::Ignore("pod-template-hash"),
    Rule::Ignore("controller-revision-hash"),
    Rule::Ignore("controller-uid"),
    Rule::Ignore("annotation"),
    Rule::Ignore("etcd_node"),
];

/// Whether labels with this key, without source, are part of identities. A selector on another one cannot be answered.
///
/// A key counts unless it is ignored; an including rule wins when it matches a longer part than every ignoring one.
pub fn is_identity_relevant(key: &str) -> bool {
    let (mut included, mut ignored) = (0, 0);
    for rule in RULES {
        match rule {
            Rule::Include(prefix) if key.starts_with(prefix) => {
                included = included.max(prefix.len());
            }
            Rule::Ignore(prefix) if key.starts_with(prefix) => {
                ignored = shorter(ignored, prefix.len());
            }
            Rule::IgnoreAnywhere(text) => {
                if let Some(at) = key.rfind(text) {
                    ignored = shorter(ignored, at + text.len());
                }
            }
            Rule::Include(_) | Rule::Ignore(_) => {}
        }
    }
    ignored == 0 || included > ignored
}

fn shorter(ignored: usize, length: usize) -> usize {
    if ignored == 0 {
        length
    } else {
        ignored.min(length)
    }
}

#[cfg(test)]
mod tests;
