//! Pods that bring along labels only the CNI may give (T31). They are ignored; whoever wrote them is told once.

use std::collections::BTreeMap;

use cilium_api::identity_labels::reserved_pod_labels;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};

use crate::write::Write;

/// What was told, by the pod's UID.
#[derive(Debug, Default)]
pub struct Claims {
    told: BTreeMap<String, Vec<String>>,
}

impl Claims {
    /// One event for each pod whose claims are new. Pods that are not here are forgotten.
    pub fn news<'a>(&mut self, pods: impl IntoIterator<Item = &'a Pod>) -> Vec<Write> {
        let before = std::mem::take(&mut self.told);
        let mut news = Vec::new();
        for pod in pods {
            let claimed = reserved_pod_labels(pod);
            if claimed.is_empty() {
                continue;
            }
            let claimed: Vec<String> = claimed.into_iter().map(str::to_owned).collect();
            let uid = pod.metadata.uid.clone().unwrap_or_default();
            if before.get(&uid) != Some(&claimed) {
                news.push(event(pod, &claimed));
            }
            self.told.insert(uid, claimed);
        }
        news
    }
}

/// What an event about a pod refers to.
pub(super) fn about_pod(pod: &Pod) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod.metadata.name.clone(),
        namespace: pod.metadata.namespace.clone(),
        uid: pod.metadata.uid.clone(),
        ..ObjectReference::default()
    }
}

fn event(pod: &Pod, claimed: &[String]) -> Write {
    Write::Event {
        about: Box::new(about_pod(pod)),
        reason: "ReservedLabels",
        note: format!(
            "labels {} are the CNI's to give and do not count for policies; remove them from the pod",
            claimed.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(uid: &str, label: &str) -> Pod {
        let pod = json!({"metadata": {"name": "web", "namespace": "shop", "uid": uid, "labels": {"app": "web", label: "x"}}});
        serde_json::from_value(pod).unwrap()
    }

    #[test]
    fn a_claim_is_told_once_and_another_one_again() {
        let mut claims = Claims::default();
        let forged = pod("u", "io.kubernetes.pod.namespace");
        let news = claims.news([&forged]);
        assert!(
            matches!(&news[..], [Write::Event { note, .. }] if note.contains("io.kubernetes.pod.namespace"))
        );
        assert_eq!(claims.news([&forged]), []);
        assert_eq!(claims.news([&pod("u", "reserved.host")]).len(), 1);
        assert_eq!(claims.news([&pod("v", "reserved.host")]).len(), 1);
    }

    #[test]
    fn an_honest_pod_is_not_told_anything() {
        assert_eq!(Claims::default().news([&pod("u", "tier")]), []);
    }
}
