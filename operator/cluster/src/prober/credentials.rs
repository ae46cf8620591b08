//! Values of Secrets that probes log in with. Read once per version of the Secret, so that probing costs the API server nothing.

use std::collections::BTreeMap;

use gloonet_catalog::SecretKeyRef;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::sync::Mutex;

use super::ProbeError;
use crate::eyes::{Eyes, Row, Source};

struct Read {
    version: String,
    values: BTreeMap<String, String>,
}

pub(super) struct Credentials {
    client: Client,
    read: Mutex<BTreeMap<(String, String), Read>>,
}

impl Credentials {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            read: Mutex::default(),
        }
    }

    /// One key of one Secret.
    pub(super) async fn get(
        &self,
        eyes: &Eyes,
        reference: &SecretKeyRef,
    ) -> Result<String, ProbeError> {
        let missing = || {
            ProbeError::Secret(format!(
                "{}/{}, key {}",
                reference.namespace, reference.name, reference.key
            ))
        };
        let version = version(eyes, reference).ok_or_else(missing)?;
        let name = (reference.namespace.clone(), reference.name.clone());
        // Held over the request, so that probes that start together ask once.
        let mut read = self.read.lock().await;
        if read.get(&name).is_none_or(|read| read.version != version) {
            let api: Api<Secret> = Api::namespaced(self.client.clone(), &reference.namespace);
            let secret = api.get(&reference.name).await.map_err(|_| missing())?;
            let text = |value: k8s_openapi::ByteString| String::from_utf8(value.0).ok();
            let values = secret.data.unwrap_or_default().into_iter();
            let values = values
                .filter_map(|(key, value)| Some((key, text(value)?)))
                .collect();
            read.insert(name.clone(), Read { version, values });
        }
        read.get(&name)
            .and_then(|read| read.values.get(&reference.key))
            .cloned()
            .ok_or_else(missing)
    }

    /// As [`Credentials::get`], for what need not be there.
    pub(super) async fn optional(
        &self,
        eyes: &Eyes,
        reference: Option<&SecretKeyRef>,
    ) -> Option<String> {
        self.get(eyes, reference?).await.ok()
    }
}

fn version(eyes: &Eyes, reference: &SecretKeyRef) -> Option<String> {
    let name = (reference.namespace.clone(), reference.name.clone());
    eyes.read(|seen| {
        match seen
            .table(&Source::Secrets(reference.namespace.clone()))?
            .rows
            .get(&name)?
        {
            Row::Secret(view) => Some(view.resource_version.clone()),
            _ => None,
        }
    })
}
