//! The ClusterServiceVersion: the Deployment and its rights in OLM's form, with what a catalogue shows.

mod descriptors;
mod permissions;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gloonet_catalog::ReleaseLock;
use serde_json::{Map, Value, json};

use super::about::ICON;
use super::source::{PACKAGE, Source, kind, name};

/// Kinds that the ClusterServiceVersion says in its own way, or that OLM makes itself.
const SAID_BY_CSV: [&str; 7] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "Deployment",
    "Namespace",
    "Role",
    "RoleBinding",
    "ServiceAccount",
];

/// The objects that go beside the ClusterServiceVersion as they are.
pub(super) fn bundled_objects(source: &Source) -> impl Iterator<Item = &Value> {
    source
        .objects
        .iter()
        .filter(|object| !SAID_BY_CSV.contains(&kind(object)))
}

/// The whole object.
pub(super) fn render(source: &Source) -> Result<Value> {
    let version = &source.lock.version;
    Ok(json!({
        "apiVersion": "operators.coreos.com/v1alpha1",
        "kind": "ClusterServiceVersion",
        "metadata": {
            "name": format!("{PACKAGE}.v{version}"),
            "annotations": annotations(source)?,
            "labels": {
                "operatorframework.io/arch.amd64": "supported",
                "operatorframework.io/os.linux": "supported",
            },
        },
        "spec": spec(source)?,
    }))
}

fn annotations(source: &Source) -> Result<Value> {
    let about = &source.about;
    let mut annotations = Map::from_iter([
        (
            "alm-examples".to_owned(),
            json!(serde_json::to_string_pretty(&[&source.example]).context("write the example")?),
        ),
        ("capabilities".to_owned(), json!(about.capabilities)),
        ("categories".to_owned(), json!(about.categories.join(", "))),
        (
            "containerImage".to_owned(),
            json!(image(&source.lock, PACKAGE)?),
        ),
        ("createdAt".to_owned(), json!(about.created)),
        ("description".to_owned(), json!(about.summary)),
        (
            "operatorframework.io/suggested-namespace".to_owned(),
            json!(gloonet_api::OPERATOR_NAMESPACE),
        ),
        (
            "repository".to_owned(),
            json!(about.links.first().map(|link| &link.url)),
        ),
        ("support".to_owned(), json!(about.provider)),
    ]);
    for (feature, supported) in &about.features {
        annotations.insert(feature_key(feature), json!(supported.to_string()));
    }
    // Only digests can be mirrored ahead of time; while one is unresolved the promise would be false.
    let disconnected = source.lock.unresolved().is_empty();
    annotations.insert(feature_key("disconnected"), json!(disconnected.to_string()));
    Ok(Value::Object(annotations))
}

fn feature_key(feature: &str) -> String {
    format!("features.operators.openshift.io/{feature}")
}

fn spec(source: &Source) -> Result<Value> {
    let about = &source.about;
    Ok(json!({
        "customresourcedefinitions": {
            "owned": source.crds.iter().map(descriptors::owned).collect::<Result<Vec<_>>>()?,
        },
        "description": about.description.trim(),
        "displayName": about.display_name,
        "icon": [{"base64data": STANDARD.encode(ICON), "mediatype": "image/svg+xml"}],
        "install": {
            "spec": {
                "clusterPermissions": permissions::cluster_wide(source)?,
                "deployments": [deployment(source)?],
                "permissions": permissions::own_namespace(source)?,
            },
            "strategy": "deployment",
        },
        "installModes": install_modes(),
        "keywords": about.keywords,
        "links": about.links,
        "maintainers": about.maintainers,
        "maturity": about.maturity,
        "minKubeVersion": about.min_kube_version,
        "provider": {"name": about.provider},
        "relatedImages": related_images(&source.lock),
        "version": source.lock.version,
    }))
}

/// A GlooNetwork belongs to the whole cluster.
fn install_modes() -> [Value; 4] {
    [
        "OwnNamespace",
        "SingleNamespace",
        "MultiNamespace",
        "AllNamespaces",
    ]
    .map(|mode| json!({"type": mode, "supported": mode == "AllNamespaces"}))
}

fn deployment(source: &Source) -> Result<Value> {
    let deployment = source.deployment()?;
    Ok(json!({
        "label": deployment["metadata"]["labels"],
        "name": name(deployment)?,
        "spec": deployment["spec"],
    }))
}

/// Every image the operator can put into a pod, by digest where one is known.
fn related_images(lock: &ReleaseLock) -> Vec<Value> {
    lock.images
        .iter()
        .map(|image| json!({"name": image.name, "image": reference(image)}))
        .collect()
}

fn image(lock: &ReleaseLock, wanted: &str) -> Result<String> {
    lock.images
        .iter()
        .find(|image| image.name == wanted)
        .map(reference)
        .with_context(|| format!("release.lock has no image {wanted}"))
}

fn reference(image: &gloonet_catalog::ImageEntry) -> String {
    match image.digest() {
        Some(digest) => format!("{}:{}@{digest}", image.reference, image.version),
        None => format!("{}:{}", image.reference, image.version),
    }
}
