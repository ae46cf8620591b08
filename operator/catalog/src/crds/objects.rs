use gloonet_api::MESH_NAMESPACE;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::DynamicObject;
use serde_json::json;

use crate::object::Builder;
use crate::{ComponentId, RenderError};

const DEFINITION: (&str, &str) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");

pub(super) fn all() -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Crds, MESH_NAMESPACE);
    let mut objects = vec![namespace(&builder)?];
    for definition in definitions() {
        objects.push(builder.typed(DEFINITION, &definition)?);
    }
    Ok(objects)
}

/// All of them in every cluster, whatever its role: people may write resources before the part that follows them is there.
pub(super) fn definitions() -> impl Iterator<Item = CustomResourceDefinition> {
    cilium_api::crds().into_iter().chain(gloo_api::crds())
}

/// Everything of ours in this namespace fits the strictest Pod Security Standard, so the namespace enforces it.
pub(crate) fn namespace(builder: &Builder) -> Result<DynamicObject, RenderError> {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/warn": "restricted",
    });
    builder.object(
        ("v1", "Namespace"),
        json!({"name": MESH_NAMESPACE, "labels": labels}),
        json!({}),
    )
}
