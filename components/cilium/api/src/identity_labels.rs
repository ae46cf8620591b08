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
        .filter(|(k, _)| !is_reserved(k));
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pod(labels: &[(&str, &str)]) -> Pod {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "web-1", "namespace": "shop", "labels": labels.iter().copied().collect::<BTreeMap<_, _>>()},
            "spec": {"containers": [], "serviceAccountName": "seller"},
        }))
        .unwrap()
    }

    fn namespace() -> Namespace {
        serde_json::from_value(serde_json::json!({
            "metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop", "team": "blue"}},
        }))
        .unwrap()
    }

    fn labels_of(pod: &Pod) -> Vec<String> {
        identity_labels(pod, &namespace(), "west").to_list()
    }

    const OF_THE_NAMESPACE: [&str; 5] = [
        "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop",
        "k8s:io.cilium.k8s.namespace.labels.team=blue",
        "k8s:io.cilium.k8s.policy.cluster=west",
        "k8s:io.cilium.k8s.policy.serviceaccount=seller",
        "k8s:io.kubernetes.pod.namespace=shop",
    ];

    #[test]
    fn a_pod_without_labels_has_those_of_its_namespace_account_and_cluster() {
        assert_eq!(labels_of(&pod(&[])), OF_THE_NAMESPACE);
    }

    #[test]
    fn labels_of_the_pod_count() {
        let labels = labels_of(&pod(&[
            ("app", "web"),
            ("app.kubernetes.io/name", "shop"),
            ("tier", "front"),
        ]));
        assert_eq!(
            labels[..2],
            ["k8s:app=web", "k8s:app.kubernetes.io/name=shop"]
        );
        assert_eq!(labels.last().unwrap(), "k8s:tier=front");
    }

    #[test]
    fn labels_that_differ_from_pod_to_pod_do_not_count() {
        let unique = [
            ("pod-template-hash", "5d8f"),
            ("controller-revision-hash", "77"),
            ("statefulset.kubernetes.io/pod-name", "web-0"),
            ("apps.kubernetes.io/pod-index", "0"),
            ("batch.kubernetes.io/job-completion-index", "3"),
            ("batch.kubernetes.io/controller-uid", "u"),
            ("controller-uid", "u"),
            ("pod-template-generation", "2"),
            ("failure-domain.beta.kubernetes.io/zone", "a"),
            ("kubernetes.io/arch", "amd64"),
            ("topology.kubernetes.io/zone", "a"),
            ("topology.kubernetes.io/region", "north"),
        ];
        assert_eq!(labels_of(&pod(&unique)), OF_THE_NAMESPACE);
    }

    #[test]
    fn a_pod_cannot_take_another_namespace_account_or_cluster_by_its_labels() {
        let forged = pod(&[
            ("io.kubernetes.pod.namespace", "kube-system"),
            ("io.cilium.k8s.policy.serviceaccount", "admin"),
            ("io.cilium.k8s.policy.cluster", "east"),
            ("io.cilium.k8s.namespace.labels.team", "red"),
            ("reserved.host", ""),
        ]);
        assert_eq!(labels_of(&forged), OF_THE_NAMESPACE);
        assert_eq!(reserved_pod_labels(&forged).len(), 5);
        assert!(reserved_pod_labels(&pod(&[("app", "web")])).is_empty());
    }

    #[test]
    fn the_canonical_text_and_hash_of_a_set_are_fixed_for_ever() {
        let set = LabelSet::from_iter([("k8s:b", "2"), ("k8s:a", "1")]);
        assert_eq!(set.canonical(), "k8s:a=1;k8s:b=2;");
        assert_eq!(
            set.hash(),
            "14a0fc80471b5d3e133bffc384f53d4679f53118d58fd034cacb48bad4bfc6de"
        );
    }

    proptest! {
        #[test]
        fn sets_are_equal_exactly_when_their_canonical_texts_are(
            a in prop::collection::btree_map("[a-c]{1,2}", "[x-y]?", 0..4),
            b in prop::collection::btree_map("[a-c]{1,2}", "[x-y]?", 0..4),
        ) {
            let (a, b): (LabelSet, LabelSet) = (a.into_iter().collect(), b.into_iter().collect());
            prop_assert_eq!(a == b, a.canonical() == b.canonical());
        }

        #[test]
        fn no_pod_label_changes_what_the_objects_say(extra in prop::collection::btree_map("[a-z./]{1,40}", "[a-z]{0,3}", 0..6)) {
            let mut pod = pod(&[]);
            pod.metadata.labels.get_or_insert_default().extend(extra);
            let set = identity_labels(&pod, &namespace(), "west");
            prop_assert_eq!(set.namespace(), Some("shop"));
            prop_assert_eq!(set.as_map()["k8s:io.cilium.k8s.policy.serviceaccount"].as_str(), "seller");
        }
    }

    #[test]
    fn the_cni_says_namespace_cluster_and_service_account_and_nothing_that_merely_looks_so() {
        for key in [
            "io.kubernetes.pod.namespace",
            "io.cilium.k8s.policy.cluster",
            "io.cilium.k8s.policy.serviceaccount",
            "io.cilium.k8s.namespace.labels.team",
        ] {
            assert!(is_said_by_cni(key), "{key}");
        }
        for key in [
            "app",
            "io.cilium.k8s.policy.else",
            "io.cilium.k8s.namespace.labelsteam",
        ] {
            assert!(!is_said_by_cni(key), "{key}");
        }
    }
}
