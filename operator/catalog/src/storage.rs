//! Where a store keeps its data: a claim that outlives its pods, or a volume of the pod's own.

use gloonet_api::redis::Persistence;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use crate::{RenderError, object::Builder};

/// The claim, when persistence is on.
pub(crate) fn claim(
    builder: &Builder,
    name: &str,
    storage: &Persistence,
) -> Result<Option<DynamicObject>, RenderError> {
    if !storage.state.is_enabled() {
        return Ok(None);
    }
    let mut spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage.size}}});
    if let Some(class) = &storage.storage_class {
        spec["storageClassName"] = json!(class);
    }
    builder
        .namespaced(("v1", "PersistentVolumeClaim"), name, json!({"spec": spec}))
        .map(Some)
}

/// The pod's volume `data`. Without persistence it survives the container, not the pod.
pub(crate) fn volume(storage: &Persistence, claim: &str) -> Value {
    if storage.state.is_enabled() {
        json!({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
    } else {
        json!({"name": "data", "emptyDir": {"sizeLimit": storage.size}})
    }
}
