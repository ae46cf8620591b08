//! Images of the platform's pods, beside what the GlooNetwork says it installs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use gloo_record::{Images, images::Container};
use k8s_openapi::api::core::v1::Pod;
use kube::{ResourceExt, api::DynamicObject};

use crate::{
    pods::{self, image_name},
    reader::{AnalyzeError, Reader},
};

const NAMESPACES: [&str; 2] = ["gloo-mesh", "gloonet-system"];

pub(super) fn run(reader: &Reader) -> Result<Images, AnalyzeError> {
    let named = named(&reader.world.gloonetworks.all()?);
    Ok(record(&reader.world.pods.all()?, &named))
}

/// The references of `status.images`, less the operator's own: whoever installs it chooses that one.
fn named(networks: &[Arc<DynamicObject>]) -> Vec<String> {
    let images = networks
        .iter()
        .filter_map(|network| network.data.pointer("/status/images")?.as_array());
    images
        .flatten()
        .filter(|image| image["name"] != "gloonet-operator")
        .filter_map(|image| Some(image["reference"].as_str()?.to_owned()))
        .collect()
}

type Key = (String, String, String, String);

fn record(all: &[Arc<Pod>], named: &[String]) -> Images {
    let mut found: BTreeMap<Key, (Container, BTreeSet<String>)> = BTreeMap::new();
    for pod in all.iter().filter(|pod| ours(pod) && !pods::ended(pod)) {
        let Some(spec) = &pod.spec else { continue };
        for container in &spec.containers {
            let image = container.image.clone().unwrap_or_default();
            let workload = workload(pod);
            let namespace = pod.namespace().unwrap_or_default();
            let key = (
                namespace.clone(),
                workload.clone(),
                container.name.clone(),
                image.clone(),
            );
            let entry = found.entry(key).or_insert_with(|| {
                let one = Container {
                    namespace,
                    workload,
                    container: container.name.clone(),
                    expected: expected(&image, named),
                    image,
                    pull_policy: container.image_pull_policy.clone().unwrap_or_default(),
                    digests: Vec::new(),
                };
                (one, BTreeSet::new())
            });
            entry.1.extend(digest(pod, &container.name));
        }
    }
    let containers = found.into_values().map(|(mut one, digests)| {
        one.digests = digests.into_iter().collect();
        one
    });
    let registries: BTreeSet<String> = named.iter().map(|image| registry(image)).collect();
    Images {
        containers: containers.collect(),
        registries: registries.into_iter().collect(),
    }
}

/// The platform's pods; of kube-system, Cilium's.
fn ours(pod: &Pod) -> bool {
    let namespace = pod.namespace().unwrap_or_default();
    let cilium = || {
        let label = |name: &str| pod.labels().get(name).map(String::as_str);
        label("k8s-app") == Some("cilium") || label("io.cilium/app") == Some("operator")
    };
    NAMESPACES.contains(&namespace.as_str()) || (namespace == "kube-system" && cilium())
}

/// What made the pod; of a ReplicaSet, the Deployment its name begins with.
fn workload(pod: &Pod) -> String {
    let owner = pod.owner_references().first();
    match owner {
        Some(owner) if owner.kind == "ReplicaSet" => {
            let name = owner
                .name
                .rsplit_once('-')
                .map_or(owner.name.as_str(), |(name, _)| name);
            format!("Deployment/{name}")
        }
        Some(owner) => format!("{}/{}", owner.kind, owner.name),
        None => format!("Pod/{}", pod.name_any()),
    }
}

fn digest(pod: &Pod, container: &str) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    let status = statuses.iter().find(|status| status.name == container)?;
    let at = status.image_id.find("sha256:")?;
    status.image_id.get(at..).map(str::to_owned)
}

/// The release's reference for the same image: the one whose path ends alike.
fn expected(image: &str, named: &[String]) -> Option<String> {
    let (wanted, _) = image_name(image);
    let same = |one: &&String| image_name(one).0 == wanted;
    named.iter().find(same).cloned()
}

fn registry(image: &str) -> String {
    image.split('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, image: &str, id: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": {
                "name": name, "namespace": "gloo-mesh",
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "agent-7f9c", "uid": "u"}],
            },
            "spec": {"containers": [{"name": "agent", "image": image}]},
            "status": {"containerStatuses": [{"name": "agent", "image": image, "imageID": id, "ready": true, "restartCount": 0}]},
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn pods_of_a_workload_count_once_with_all_their_digests() {
        let image = "mirror.example/g/agent:1";
        let all = [
            pod("a", image, "mirror.example/g/agent@sha256:aa"),
            pod("b", image, "sha256:bb"),
        ];
        let record = record(&all, &["mirror.example/g/agent:2".to_owned()]);
        assert_eq!(record.containers.len(), 1);
        let one = &record.containers[0];
        assert_eq!(one.workload, "Deployment/agent");
        assert_eq!(one.digests, ["sha256:aa", "sha256:bb"]);
        assert_eq!(one.expected.as_deref(), Some("mirror.example/g/agent:2"));
        assert_eq!(record.registries, ["mirror.example"]);
    }

    #[test]
    fn an_image_that_only_a_pod_that_has_ended_had_does_not_run() {
        let mut old = Arc::unwrap_or_clone(pod("a", "mirror.example/g/agent:0", "sha256:aa"));
        old.status.as_mut().unwrap().phase = Some("Failed".to_owned());
        assert!(record(&[Arc::new(old)], &[]).containers.is_empty());
    }

    #[test]
    fn an_image_is_known_by_the_end_of_its_path() {
        assert_eq!(
            image_name("a.example:5000/x/agent:1@sha256:aa"),
            ("agent", "1")
        );
        assert_eq!(
            expected("b.example/agent", &["a.example/agents:1".to_owned()]),
            None
        );
    }
}
