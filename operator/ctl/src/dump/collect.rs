//! Reads what a bug report needs. What cannot be read is noted and left out: half an archive helps more than none.

use gloonet_api::GlooNetwork;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{ConfigMap, Event, Node, Pod, Service},
        networking::v1::NetworkPolicy,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ListParams, LogParams},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{archive::Archive, mask};
use crate::format;

/// What belongs to no namespace.
pub(super) async fn cluster(client: &Client, archive: &mut Archive) {
    match client.apiserver_version().await {
        Ok(version) => add(archive, "cluster/version.yaml", &version),
        Err(error) => archive.fail("version of the API server", &error),
    }
    list(
        &Api::<GlooNetwork>::all(client.clone()),
        "cluster/gloonetworks.yaml",
        archive,
    )
    .await;
    list(
        &Api::<Node>::all(client.clone()),
        "cluster/nodes.yaml",
        archive,
    )
    .await;
    let api: Api<CustomResourceDefinition> = Api::all(client.clone());
    match api.list_metadata(&ListParams::default()).await {
        Ok(found) => {
            let names: Vec<String> = found.items.iter().map(ResourceExt::name_any).collect();
            add(archive, "cluster/customresourcedefinitions.yaml", &names);
        }
        Err(error) => archive.fail("CustomResourceDefinitions", &error),
    }
}

/// Workloads, pods, their logs, events and configuration of one namespace.
pub(super) async fn namespace(
    client: &Client,
    namespace: &str,
    log_lines: i64,
    archive: &mut Archive,
) {
    kind::<Deployment>(client, namespace, "deployments", archive).await;
    kind::<DaemonSet>(client, namespace, "daemonsets", archive).await;
    kind::<Service>(client, namespace, "services", archive).await;
    kind::<NetworkPolicy>(client, namespace, "networkpolicies", archive).await;
    kind::<ConfigMap>(client, namespace, "configmaps", archive).await;
    kind::<Event>(client, namespace, "events", archive).await;
    for pod in kind::<Pod>(client, namespace, "pods", archive).await {
        logs(client, namespace, &pod, log_lines, archive).await;
    }
}

async fn kind<K>(client: &Client, namespace: &str, plural: &str, archive: &mut Archive) -> Vec<K>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + Serialize
        + DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    list(&api, &format!("{namespace}/{plural}.yaml"), archive).await
}

async fn list<K>(api: &Api<K>, path: &str, archive: &mut Archive) -> Vec<K>
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    match api.list(&ListParams::default()).await {
        Ok(found) => {
            add(archive, path, &found.items);
            found.items
        }
        Err(error) => {
            archive.fail(path, &error);
            Vec::new()
        }
    }
}

/// Adds a value, or each item of a list, masked.
fn add(archive: &mut Archive, path: &str, value: &impl Serialize) {
    let text = serde_json::to_value(value).map(|mut value| {
        match value.as_array_mut() {
            Some(items) => items.iter_mut().for_each(mask::mask),
            None => mask::mask(&mut value),
        }
        value
    });
    match text.map(|value| format::yaml(&value)) {
        Ok(Ok(text)) => archive.add(path, text),
        Ok(Err(error)) => archive.fail(path, &error),
        Err(error) => archive.fail(path, &error),
    }
}

async fn logs(client: &Client, namespace: &str, pod: &Pod, lines: i64, archive: &mut Archive) {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let name = pod.name_any();
    let spec = pod.spec.clone().unwrap_or_default();
    let containers = spec
        .containers
        .into_iter()
        .chain(spec.init_containers.unwrap_or_default());
    for container in containers.map(|container| container.name) {
        for previous in [false, true] {
            let path = format!(
                "{namespace}/logs/{name}/{container}{}.log",
                if previous { ".previous" } else { "" }
            );
            let wanted = LogParams {
                container: Some(container.clone()),
                tail_lines: Some(lines),
                timestamps: true,
                previous,
                ..LogParams::default()
            };
            match api.logs(&name, &wanted).await {
                Ok(text) => archive.add(path, mask::mask_text(&text)),
                // Most containers never ended before; that there is no earlier log is no news.
                Err(_) if previous => {}
                Err(error) => archive.fail(&path, &error),
            }
        }
    }
}
