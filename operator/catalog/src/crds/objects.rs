use gloonet_api::MESH_NAMESPACE;
use kube_core::DynamicObject;
use serde_json::json;

use crate::object::Builder;
use crate::{ComponentId, RenderError};

const DEFINITION: (&str, &str) = ("apiextensions.k8s.io/v1", "CustomResourceDefinition");

pub(super) fn all() -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::Crds, MESH_NAMESPACE);
    let mut objects = vec![namespace(&builder)?];
    for definition in cilium_api::crds() {
        objects.push(builder.typed(DEFINITION, &definition)?);
    }
    Ok(objects)
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
