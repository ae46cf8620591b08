//! The inventory as a ConfigMap in the operator's namespace.

use gloonet_api::{MANAGED_BY, MANAGED_BY_LABEL, OPERATOR_NAMESPACE};
use gloonet_plan::{Inventory, ObjectKey};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;

use crate::fault::{Fault, is_not_found};

/// Name of the ConfigMap.
pub const NAME: &str = "gloonet-inventory";
const FIELD: &str = "objects";
const MANAGER: &str = "gloonet/inventory";

fn key() -> ObjectKey {
    ObjectKey {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some(OPERATOR_NAMESPACE.to_owned()),
        name: NAME.to_owned(),
    }
}

fn api(client: &Client) -> Api<ConfigMap> {
    Api::namespaced(client.clone(), OPERATOR_NAMESPACE)
}

/// Reads the inventory; empty when there is none yet.
pub async fn load(client: &Client) -> Result<Inventory, Fault> {
    match api(client).get(NAME).await {
        Ok(found) => {
            let text = found
                .data
                .unwrap_or_default()
                .remove(FIELD)
                .unwrap_or_default();
            Inventory::parse(&text).map_err(|source| Fault::Inventory { key: key(), source })
        }
        Err(error) if is_not_found(&error) => Ok(Inventory::default()),
        Err(source) => Err(Fault::Read { key: key(), source }),
    }
}

/// Stores the inventory.
pub async fn save(client: &Client, inventory: &Inventory) -> Result<(), Fault> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "labels": {MANAGED_BY_LABEL: MANAGED_BY}},
        "data": {FIELD: inventory.to_text()},
    });
    let parameters = PatchParams::apply(MANAGER).force();
    let written = api(client)
        .patch(NAME, &parameters, &Patch::Apply(&body))
        .await;
    written
        .map(drop)
        .map_err(|source| Fault::Apply { key: key(), source })
}

/// Removes the inventory at the end of an uninstall.
pub async fn remove(client: &Client) -> Result<(), Fault> {
    match api(client).delete(NAME, &DeleteParams::default()).await {
        Err(error) if !is_not_found(&error) => Err(Fault::Delete {
            key: key(),
            source: error,
        }),
        _ => Ok(()),
    }
}
