//! Which number a pod's labels have. The numbers are the operator's (CiliumIdentity); the agent only looks them up. Pure.

use std::collections::HashMap;

use cilium_api::{CiliumIdentity, LabelSet, NumericIdentity, identity_labels};
use k8s_openapi::api::core::v1::{Namespace, Pod};

/// The label sets that have a number, and what each number stands for.
#[derive(Debug, Default)]
pub struct Identities {
    numbers: HashMap<LabelSet, NumericIdentity>,
    labels: HashMap<NumericIdentity, LabelSet>,
}

impl Identities {
    /// Of two numbers for one set the lower counts, on every node alike.
    pub fn new<'a>(objects: impl IntoIterator<Item = &'a CiliumIdentity>) -> Self {
        let mut known = Self::default();
        for object in objects {
            if let Some(number) = object.number() {
                let labels = &object.security_labels;
                known.labels.insert(number, labels.clone());
                known
                    .numbers
                    .entry(labels.clone())
                    .and_modify(|known| *known = number.min(*known))
                    .or_insert(number);
            }
        }
        known
    }

    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// `init` until the operator has given the labels a number.
    pub fn of(&self, labels: &LabelSet) -> NumericIdentity {
        self.numbers
            .get(labels)
            .copied()
            .unwrap_or(NumericIdentity::INIT)
    }

    /// Whether a pod of the namespace may have a number. One that is not known may be any pod's: its object may come after
    /// that of the endpoint.
    pub fn may_be_of(&self, number: NumericIdentity, namespace: Option<&str>) -> bool {
        let labels = self.labels.get(&number);
        labels.is_none_or(|labels| labels.namespace().is_some() && labels.namespace() == namespace)
    }
}

/// What is known of a pod: its number and the labels it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub number: NumericIdentity,
    pub labels: Vec<String>,
}

impl Resolved {
    /// A pod of which nothing is known yet.
    pub fn init() -> Self {
        Self {
            number: NumericIdentity::INIT,
            labels: vec!["reserved:init".to_owned()],
        }
    }
}

/// On the mirror of a static pod in the API: the UID that kubelet and runtime know the pod by, a hash of its manifest.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Whether an object is the pod whose UID the runtime said: one with another UID is another pod of the same name.
pub fn is_same(pod: &Pod, uid: &str) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    let mirrored = annotations.and_then(|annotations| annotations.get(MIRROR));
    uid.is_empty()
        || pod.metadata.uid.as_deref() == Some(uid)
        || mirrored.map(String::as_str) == Some(uid)
}

/// `uid` is the pod's as the runtime said it.
pub fn resolve(
    pod: Option<&Pod>,
    namespace: Option<&Namespace>,
    uid: &str,
    cluster: &str,
    identities: &Identities,
) -> Resolved {
    let pod = pod.filter(|pod| is_same(pod, uid));
    let (Some(pod), Some(namespace)) = (pod, namespace) else {
        return Resolved::init();
    };
    let labels = identity_labels(pod, namespace, cluster);
    match identities.of(&labels) {
        NumericIdentity::INIT => Resolved::init(),
        number => Resolved {
            number,
            labels: labels.to_list(),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({"metadata": {
            "name": "web", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}}}))
        .unwrap()
    }

    fn namespace() -> Namespace {
        serde_json::from_value(json!({"metadata": {"name": "shop", "labels": {"team": "a"}}}))
            .unwrap()
    }

    fn identities(numbers: &[u32]) -> Identities {
        let labels = identity_labels(&pod(), &namespace(), "west");
        let objects: Vec<_> = numbers
            .iter()
            .map(|n| CiliumIdentity::new(NumericIdentity(*n), labels.clone()))
            .collect();
        Identities::new(&objects)
    }

    #[test]
    fn a_pod_whose_labels_have_no_number_yet_is_init() {
        let resolved = resolve(
            Some(&pod()),
            Some(&namespace()),
            "u1",
            "west",
            &identities(&[]),
        );
        assert_eq!(resolved, Resolved::init());
    }

    #[test]
    fn a_known_pod_gets_its_number_and_labels() {
        let resolved = resolve(
            Some(&pod()),
            Some(&namespace()),
            "u1",
            "west",
            &identities(&[300]),
        );
        assert_eq!(resolved.number, NumericIdentity(300));
        assert!(resolved.labels.contains(&"k8s:app=web".to_owned()));
    }

    #[test]
    fn every_node_takes_the_lowest_of_two_numbers_for_one_set() {
        let resolved = resolve(
            Some(&pod()),
            Some(&namespace()),
            "u1",
            "west",
            &identities(&[400, 300]),
        );
        assert_eq!(resolved.number, NumericIdentity(300));
    }

    #[test]
    fn a_reserved_number_is_never_taken_from_an_object() {
        assert!(identities(&[1, 7, 255]).is_empty());
    }

    #[test]
    fn an_older_pod_of_the_same_name_does_not_lend_its_identity() {
        let resolved = resolve(
            Some(&pod()),
            Some(&namespace()),
            "u2",
            "west",
            &identities(&[300]),
        );
        assert_eq!(resolved, Resolved::init());
    }
    #[test]
    fn a_static_pod_is_known_by_the_hash_of_its_manifest_which_its_mirror_bears() {
        let mut mirror = pod();
        mirror.metadata.annotations = Some([(MIRROR.to_owned(), "hash".to_owned())].into());
        let number = |uid: &str| {
            let identities = identities(&[300]);
            resolve(Some(&mirror), Some(&namespace()), uid, "west", &identities).number
        };
        assert_eq!(number("hash"), NumericIdentity(300));
        assert_eq!(number("u1"), NumericIdentity(300));
        assert_eq!(number("hash-of-a-manifest-before"), NumericIdentity::INIT);
    }
}
