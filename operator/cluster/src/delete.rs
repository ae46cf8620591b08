//! Deletion of one object that is ours.

use gloonet_plan::ObjectKey;
use kube::{
    Client,
    api::{DeleteParams, Preconditions},
};

use crate::{
    apply::api_for,
    fault::{Fault, is_conflict, is_not_found},
};

/// Deletes the object if it still has this UID; true when it was there. Workloads stay until their pods are gone
/// (foreground), so that the pod network outlives the pods.
pub async fn delete(client: &Client, key: &ObjectKey, uid: &str) -> Result<bool, Fault> {
    let mut parameters = if key.is_workload() {
        DeleteParams::foreground()
    } else {
        DeleteParams::background()
    };
    parameters.preconditions = Some(Preconditions {
        uid: Some(uid.to_owned()),
        resource_version: None,
    });
    match api_for(client, key).delete(&key.name, &parameters).await {
        Ok(_) => Ok(true),
        // Gone already, or another object of the same name, which the next look at the watches will show.
        Err(error) if is_not_found(&error) || is_conflict(&error) => Ok(false),
        Err(source) => Err(Fault::Delete {
            key: key.clone(),
            source,
        }),
    }
}
