//! Server-side apply of one object.

use gloonet_plan::{DesiredObject, Fingerprint, ObjectKey};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
    core::{GroupVersionKind, Status},
};

use crate::fault::{Fault, is_conflict};

/// What an apply did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// UID of the object.
    pub uid: String,
    /// Of the object's content now.
    pub live: Fingerprint,
    /// Resource version of the object now.
    pub version: u64,
    /// Who had changed which of our fields, when the API server said so.
    pub taken_from: Option<String>,
}

/// Applies `object` as field manager `gloonet/COMPONENT`.
///
/// Fields that another manager holds are taken over only when the object is `ours`; otherwise the conflict is
/// [`Fault::Foreign`]. (Kubernetes API conventions, server-side apply: a forced apply moves ownership.)
pub async fn apply(
    client: &Client,
    manager: &str,
    object: &DesiredObject,
    ours: bool,
) -> Result<Applied, Fault> {
    let api = api_for(client, &object.key);
    let patch = Patch::Apply(&object.body);
    let mut parameters = PatchParams::apply(manager);
    let fault = |source| Fault::Apply {
        key: object.key.clone(),
        source,
    };
    let (found, taken_from) = match api.patch(&object.key.name, &parameters, &patch).await {
        Ok(found) => (found, None),
        Err(kube::Error::Api(status)) if status.code == 409 && is_ownership(&status) => {
            let owner = owners(&status);
            if !ours {
                return Err(Fault::Foreign {
                    key: object.key.clone(),
                    owner,
                });
            }
            parameters.force = true;
            (
                api.patch(&object.key.name, &parameters, &patch)
                    .await
                    .map_err(fault)?,
                Some(owner),
            )
        }
        Err(error) if is_conflict(&error) => api
            .patch(&object.key.name, &parameters, &patch)
            .await
            .map(|found| (found, None))
            .map_err(fault)?,
        Err(error) => return Err(fault(error)),
    };
    let version = version(found.metadata.resource_version.as_deref());
    Ok(Applied {
        version,
        uid: found.metadata.uid.clone().unwrap_or_default(),
        live: content(&found),
        taken_from,
    })
}

/// Resource versions are numbers that grow (Kubernetes 1.35, KEP-5504); one that is not counts as old.
pub(crate) fn version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Fingerprint of a read object's content.
pub(crate) fn content(object: &DynamicObject) -> Fingerprint {
    Fingerprint::of_content(&serde_json::to_value(object).unwrap_or_default())
}

/// The API of the kind and namespace of `key`.
pub(crate) fn api_for(client: &Client, key: &ObjectKey) -> Api<DynamicObject> {
    let resource = resource_of(&key.group, &key.version, &key.kind);
    match &key.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
    }
}

/// Kubernetes' plural of the kind: lower case, English.
pub(crate) fn resource_of(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

fn is_ownership(status: &Status) -> bool {
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.as_slice())
        .unwrap_or_default();
    causes
        .iter()
        .any(|cause| cause.reason == "FieldManagerConflict")
}

/// `kubectl-edit had changed .spec.replicas`, from the causes of a conflict.
fn owners(status: &Status) -> String {
    let causes = status
        .details
        .as_ref()
        .map(|details| details.causes.as_slice())
        .unwrap_or_default();
    let sentences: Vec<String> = causes
        .iter()
        .map(|cause| {
            let manager = cause.message.split('"').nth(1).unwrap_or("somebody");
            format!("{manager} had changed {}", cause.field)
        })
        .collect();
    sentences.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_from_a_list_has_the_content_it_has_elsewhere() {
        let labels = json!({"app.kubernetes.io/managed-by": "gloonet-operator"});
        let metadata =
            json!({"name": "redis", "namespace": "gloo-mesh", "uid": "u", "labels": labels});
        let listed = json!({"metadata": metadata, "automountServiceAccountToken": false});
        let got = json!({"kind": "ServiceAccount", "apiVersion": "v1", "metadata": metadata, "automountServiceAccountToken": false});
        let read = |text| serde_json::from_value::<DynamicObject>(text).unwrap();
        assert_eq!(content(&read(listed)), content(&read(got)));
    }
}
