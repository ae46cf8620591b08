//! Pods that run Envoy.

use std::sync::Arc;

use gloo_record::{Proxies, proxies::Proxy};
use k8s_openapi::api::core::v1::Pod;

use crate::{
    pods,
    reader::{AnalyzeError, Reader},
};

pub(super) fn run(reader: &Reader) -> Result<Proxies, AnalyzeError> {
    Ok(record(&reader.world.pods.all()?))
}

fn record(all: &[Arc<Pod>]) -> Proxies {
    let there = all.iter().filter(|pod| !pods::ended(pod));
    let proxies = there.filter_map(|pod| {
        let containers = pod.spec.as_ref()?.containers.iter();
        let image = containers
            .filter_map(|container| container.image.as_ref())
            .find(|image| is_envoy(image))?;
        Some(Proxy {
            pod: pods::state(pod),
            image: image.clone(),
        })
    });
    Proxies {
        proxies: proxies.collect(),
    }
}

/// By the image's name: `envoy`, `cilium-envoy`, `gloo-mesh-envoy`, `proxyv2`.
fn is_envoy(image: &str) -> bool {
    let (name, _) = pods::image_name(image);
    name.split('-').any(|part| part == "envoy") || name == "proxyv2"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_that_has_ended_runs_no_envoy() {
        let pod = |phase: &str| -> Arc<Pod> {
            let pod = json!({
                "metadata": {"name": phase},
                "spec": {"containers": [{"name": "envoy", "image": "envoyproxy/envoy:v1"}]},
                "status": {"phase": phase},
            });
            Arc::new(serde_json::from_value(pod).unwrap())
        };
        let all = ["Running", "Pending", "Succeeded", "Failed"].map(pod);
        let proxies = record(&all).proxies;
        let names: Vec<&str> = proxies.iter().map(|one| one.pod.name.as_str()).collect();
        assert_eq!(names, ["Running", "Pending"]);
    }

    #[test]
    fn envoy_is_known_by_its_images_name() {
        for image in [
            "envoyproxy/envoy:v1",
            "quay.io/cilium/cilium-envoy@sha256:aa",
            "istio/proxyv2:1",
        ] {
            assert!(is_envoy(image), "{image}");
        }
        for image in ["envoy.example/app:1", "x/convoy:1", ""] {
            assert!(!is_envoy(image), "{image}");
        }
    }
}
