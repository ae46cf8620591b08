//! One write to the cluster.

use std::time::Duration;

use gloo_api::names;
use gloo_relay::key::ObjectKey;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions},
};
use tokio::time::timeout;

use crate::{
    kinds::{self, Watched},
    memory::Done,
    plan::{Found, Write},
};

const ANSWER: Duration = Duration::from_secs(15);

/// Writes, within some seconds. The error is a sentence for the one who desired the object.
pub(super) async fn perform(client: &Client, write: &Write) -> Result<Done, String> {
    let Ok(result) = timeout(ANSWER, send(client, write)).await else {
        return Err("the API server did not answer in time".to_owned());
    };
    match result {
        Ok(found) => Ok(Done::Written(found)),
        Err(kube::Error::Api(status)) => match (write, status.code) {
            (Write::Delete { .. }, 404 | 409) | (Write::Status { .. }, 404) => Ok(Done::Overtaken),
            _ => Err(status.message.clone()),
        },
        Err(error) => Err(error.to_string()),
    }
}

async fn send(client: &Client, write: &Write) -> Result<Found, kube::Error> {
    let parameters = PatchParams::apply(names::AGENT).force();
    let object = match write {
        Write::Apply { key, object } => {
            let api = api(client, key, kinds::POLICY);
            api.patch(key.name(), &parameters, &Patch::Apply(object))
                .await?
        }
        Write::Status { key, object } => {
            let kind = kinds::GLOO_KINDS.into_iter().find(|kind| kind.names(key));
            let api = api(client, key, kind.unwrap_or(kinds::POLICY));
            api.patch_status(key.name(), &parameters, &Patch::Apply(object))
                .await?
        }
        Write::Delete { key, found } => {
            let preconditions = Preconditions {
                uid: Some(found.uid.clone()),
                resource_version: Some(found.resource_version.clone()),
            };
            let parameters = DeleteParams {
                preconditions: Some(preconditions),
                ..DeleteParams::default()
            };
            api(client, key, kinds::POLICY)
                .delete(key.name(), &parameters)
                .await?;
            return Ok(found.clone());
        }
    };
    Ok(Found {
        uid: object.metadata.uid.unwrap_or_default(),
        resource_version: object.metadata.resource_version.unwrap_or_default(),
    })
}

fn api(client: &Client, key: &ObjectKey, kind: Watched) -> Api<DynamicObject> {
    let resource = kind.resource();
    if key.namespace().is_empty() {
        Api::all_with(client.clone(), &resource)
    } else {
        Api::namespaced_with(client.clone(), key.namespace(), &resource)
    }
}
