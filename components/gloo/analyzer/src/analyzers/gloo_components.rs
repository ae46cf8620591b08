//! The platform's parts, its GlooNetwork, and Gloo resources that are not as they should be.

use std::sync::Arc;

use gloo_record::{
    GlooComponents, PodState,
    gloo_components::{Network, Resource, Workload},
};
use k8s_openapi::api::{
    apps::v1::{DaemonSet, Deployment},
    core::v1::{Container, Pod},
};
use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;

use crate::{
    pods,
    reader::{AnalyzeError, Reader},
};

const NAMESPACES: [&str; 2] = ["gloo-mesh", "gloonet-system"];
/// Images of the project: their tag is the release.
const OWN: [&str; 6] = [
    "gloonet-operator",
    "gloo-mesh-agent",
    "gloo-mesh-analyzer",
    "gloo-mesh-insights",
    "gloo-mesh-mgmt-server",
    "gloo-mesh-ui",
];

pub(super) async fn run(reader: &Reader) -> Result<GlooComponents, AnalyzeError> {
    let world = &reader.world;
    let (deployments, daemonsets) = (world.deployments.all()?, world.daemonsets.all()?);
    let lease = reader.lease("gloonet-system", "gloonet-operator").await?;
    let mut workloads: Vec<Workload> = deployments
        .iter()
        .filter_map(|one| of_deployment(one))
        .chain(daemonsets.iter().filter_map(|one| of_daemonset(one)))
        .collect();
    workloads.sort_by(|one, other| one.name.cmp(&other.name));
    let mut resources = Vec::new();
    for (kind, table) in [
        ("Workspace", &world.workspaces),
        ("WorkspaceSettings", &world.workspace_settings),
        ("AccessPolicy", &world.access_policies),
    ] {
        let all = table.all()?;
        resources.extend(all.iter().filter_map(|object| resource(kind, object)));
    }
    Ok(GlooComponents {
        network: world.gloonetworks.all()?.first().map(|one| network(one)),
        workloads,
        pods: platform_pods(&world.pods.all()?),
        leases: lease.into_iter().collect(),
        resources,
    })
}

fn platform_pods(all: &[Arc<Pod>]) -> Vec<PodState> {
    let ours = all.iter().filter(|pod| is_ours(pod.namespace()));
    ours.map(|pod| pods::state(pod)).collect()
}

fn is_ours(namespace: Option<String>) -> bool {
    namespace.is_some_and(|namespace| NAMESPACES.contains(&namespace.as_str()))
}

fn of_deployment(one: &Deployment) -> Option<Workload> {
    let containers = &one.spec.as_ref()?.template.spec.as_ref()?.containers;
    let place = (one.namespace(), "Deployment", one.name_any());
    is_ours(one.namespace()).then(|| workload(place, pods::of_deployment(one), containers))
}

fn of_daemonset(one: &DaemonSet) -> Option<Workload> {
    let containers = &one.spec.as_ref()?.template.spec.as_ref()?.containers;
    let place = (one.namespace(), "DaemonSet", one.name_any());
    is_ours(one.namespace()).then(|| workload(place, pods::of_daemonset(one), containers))
}

fn workload(
    (namespace, kind, name): (Option<String>, &str, String),
    counts: gloo_record::Counts,
    containers: &[Container],
) -> Workload {
    let image = containers
        .first()
        .and_then(|one| one.image.clone())
        .unwrap_or_default();
    let (short, tag) = pods::image_name(&image);
    let unlimited = containers.iter().filter(|one| {
        let limits = one
            .resources
            .as_ref()
            .and_then(|given| given.limits.as_ref());
        !limits.is_some_and(|limits| limits.contains_key("memory"))
    });
    Workload {
        namespace: namespace.unwrap_or_default(),
        kind: kind.to_owned(),
        name,
        counts,
        version: tag.to_owned(),
        ours: OWN.contains(&short),
        unlimited: unlimited.map(|one| one.name.clone()).collect(),
    }
}

fn network(object: &DynamicObject) -> Network {
    let text = |path: &str| {
        let found = object.data.pointer(path).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let conditions = object
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let available = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Available");
    let said = |field: &str, absent: &str| {
        let found = available.and_then(|condition| condition[field].as_str());
        found.unwrap_or(absent).to_owned()
    };
    let replicas = object
        .data
        .pointer("/status/computed/gloo/managementServer/replicas");
    Network {
        // The release that is there; while the first one is being installed, the one that will be.
        version: [text("/status/version"), text("/status/computed/version")]
            .into_iter()
            .find(|version| !version.is_empty())
            .unwrap_or_default(),
        role: text("/status/computed/role"),
        available: said("status", "Unknown"),
        message: said("message", "the operator has not said anything yet"),
        paused: paused(&object.data),
        volatile_stores: volatile(&object.data),
        management_replicas: replicas
            .and_then(Value::as_u64)
            .and_then(|count| u32::try_from(count).ok())
            .filter(|_| text("/status/computed/role") != "Workload"),
    }
}

fn paused(data: &Value) -> Option<String> {
    let pause = data
        .pointer("/spec/pause")
        .filter(|pause| !pause.is_null())?;
    let reason = pause["reason"].as_str().unwrap_or("no reason is given");
    Some(match pause["until"].as_str() {
        Some(until) => format!("{reason} (until {until})"),
        None => reason.to_owned(),
    })
}

/// Managed stores whose storage is off.
fn volatile(data: &Value) -> Vec<String> {
    let stores = [
        ("prometheus", "storage", "prometheus-server"),
        ("redis", "persistence", "gloo-mesh-redis"),
    ];
    let forgets = |block: &str, kept: &str| {
        let at = |path: &str| data.pointer(&format!("/status/computed/{block}{path}"));
        let managed = at("/mode").and_then(Value::as_str) == Some("Managed");
        managed && at(&format!("/managed/{kept}/state")).and_then(Value::as_str) != Some("Enabled")
    };
    let workload = data
        .pointer("/status/computed/role")
        .and_then(Value::as_str)
        == Some("Workload");
    let all = stores
        .into_iter()
        .filter(|(block, kept, _)| !workload && forgets(block, kept));
    all.map(|(_, _, name)| name.to_owned()).collect()
}

/// A resource whose State is another than ACCEPTED; one without a State has not been looked at, and that is no fault.
fn resource(kind: &str, object: &DynamicObject) -> Option<Resource> {
    let state = object.data.pointer("/status/common/State")?;
    let approval = state["approval"].as_str()?;
    (approval != "ACCEPTED").then(|| Resource {
        kind: kind.to_owned(),
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        approval: approval.to_owned(),
        message: state["message"].as_str().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(data: Value) -> DynamicObject {
        let mut whole =
            json!({"apiVersion": "x/v1", "kind": "X", "metadata": {"name": "a", "namespace": "n"}});
        whole
            .as_object_mut()
            .unwrap()
            .extend(data.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_gloonetwork_is_told_as_its_status_has_it() {
        let network = network(&object(json!({
            "spec": {"pause": {"reason": "migration"}},
            "status": {
                "version": "0.1.0",
                "conditions": [{"type": "Available", "status": "False", "message": "redis"}],
                "computed": {
                    "role": "Standalone",
                    "gloo": {"managementServer": {"replicas": 2}},
                    "redis": {"mode": "Managed", "managed": {"persistence": {"state": "Enabled"}}},
                    "prometheus": {"mode": "Managed", "managed": {"storage": {"state": "Disabled"}}},
                },
            },
        })));
        assert_eq!(
            (network.available.as_str(), network.message.as_str()),
            ("False", "redis")
        );
        assert_eq!(network.volatile_stores, ["prometheus-server"]);
        assert_eq!(network.management_replicas, Some(2));
        assert_eq!(network.paused.as_deref(), Some("migration"));
    }

    #[test]
    fn only_resources_that_are_not_accepted_are_told() {
        let with = |approval: &str| {
            resource(
                "Workspace",
                &object(json!({"status": {"common": {"State": {"approval": approval}}}})),
            )
        };
        assert!(with("ACCEPTED").is_none());
        assert_eq!(with("INVALID").unwrap().approval, "INVALID");
        assert!(resource("Workspace", &object(json!({"spec": {}}))).is_none());
    }

    #[test]
    fn a_workload_has_its_release_and_the_containers_without_a_limit() {
        let container =
            json!([{"name": "a", "image": "r.example:5000/g/gloo-mesh-agent:0.1.0@sha256:aa"}]);
        let containers: Vec<Container> = serde_json::from_value(container).unwrap();
        let place = (Some("gloo-mesh".to_owned()), "Deployment", "x".to_owned());
        let found = workload(place, gloo_record::Counts::default(), &containers);
        assert_eq!((found.version.as_str(), found.ours), ("0.1.0", true));
        assert_eq!(found.unlimited, ["a"]);
    }
}
