//! The `GlooNetwork` itself: its finalizer and its status.

use gloonet_api::{FINALIZER, GlooNetwork, GlooNetworkStatus, SINGLETON};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::fault::{Fault, is_not_found};

const MANAGER: &str = "gloonet/status";

fn api(client: &Client) -> Api<GlooNetwork> {
    Api::all(client.clone())
}

/// Stores the status. An object that has gone meanwhile is no error.
pub async fn store_status(client: &Client, status: &GlooNetworkStatus) -> Result<(), Fault> {
    let body = json!({"apiVersion": "gloonetwork.io/v1alpha1", "kind": "GlooNetwork", "metadata": {"name": SINGLETON}, "status": status});
    let parameters = PatchParams::apply(MANAGER).force();
    match api(client)
        .patch_status(SINGLETON, &parameters, &Patch::Apply(&body))
        .await
    {
        Err(error) if !is_not_found(&error) => Err(Fault::Platform(error)),
        _ => Ok(()),
    }
}

/// Makes sure that a deletion waits for the uninstall, or lets it go. Leaves the finalizers of others alone.
pub async fn hold(client: &Client, platform: &GlooNetwork, held: bool) -> Result<(), Fault> {
    let mut finalizers = platform.metadata.finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|name| name == FINALIZER) == held {
        return Ok(());
    }
    finalizers.retain(|name| name != FINALIZER);
    if held {
        finalizers.push(FINALIZER.to_owned());
    }
    // The resource version makes a concurrent change of the list by somebody else a conflict instead of a loss.
    let body = json!({"metadata": {"finalizers": finalizers, "resourceVersion": platform.metadata.resource_version}});
    match api(client)
        .patch(SINGLETON, &PatchParams::default(), &Patch::Merge(&body))
        .await
    {
        Err(error) if !is_not_found(&error) => Err(Fault::Platform(error)),
        _ => Ok(()),
    }
}
