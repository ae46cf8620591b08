use gloonet_api::MESH_NAMESPACE;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::DynamicObject;
use serde_json::json;

use crate::object::Builder;
use crate::{ComponentId, Input, RenderError};

/// The strictest Pod Security Standard: everything of ours in the namespace fits it, so the namespace enforces it.
pub(crate) const STRICT: &str = "restricted";
/// The only one with folders of the node, even for reading. Collectors have one while they read flows.
const HOST_FOLDERS: &str = "privileged";
const DEFINITION: (&str, &str) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Crds, MESH_NAMESPACE);
    let level = if input.flows() { HOST_FOLDERS } else { STRICT };
    let mut objects = vec![namespace(&builder, level)?];
    for definition in definitions() {
        objects.push(builder.typed(DEFINITION, &definition)?);
    }
    Ok(objects)
}

/// All of them in every cluster, whatever its role: people may write resources before the part that follows them is there.
pub(super) fn definitions() -> impl Iterator<Item = CustomResourceDefinition> {
    cilium_api::crds().into_iter().chain(gloo_api::crds())
}

/// `level` is enforced; who makes a pod that is not strict is told so in any case.
pub(crate) fn namespace(builder: &Builder, level: &str) -> Result<DynamicObject, RenderError> {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": level,
        "pod-security.kubernetes.io/warn": STRICT,
    });
    builder.object(
        ("v1", "Namespace"),
        json!({"name": MESH_NAMESPACE, "labels": labels}),
        json!({}),
    )
}
