//! The token of this cluster's own agent, where the management server is here as well: no hand is needed.

use gloo_api::ClusterName;
use gloonet_catalog::{ComponentId, SecretKind, SecretName, SecretSpec};
use gloonet_plan::{ObjectKey, SecretCondition};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{Look, create, look, read};
use crate::{
    enrolment::{self, EXPIRES, LONGEST_TTL},
    eyes::Seen,
    fault::Fault,
};

/// Complete while the agent has a certificate that is good, whatever has become of the token.
pub(super) fn condition(seen: &Seen, spec: &SecretSpec, now: Timestamp) -> Option<SecretCondition> {
    let SecretKind::Token {
        cluster,
        records,
        certificate,
        root,
    } = &spec.kind
    else {
        return None;
    };
    if has_certificate(seen, certificate, root, now)? {
        return Some(SecretCondition::Complete);
    }
    let known = match look(seen, &records.namespace, &records.name) {
        Look::Unread => return None,
        Look::Absent => false,
        Look::Here(records) => records.keys.contains(cluster.as_str()),
    };
    Some(match look(seen, &spec.namespace, &spec.name) {
        Look::Unread => return None,
        Look::Absent => SecretCondition::Missing,
        // A token the server has no record of opens nothing.
        Look::Here(view) if !known || !view.keys.contains("token") => SecretCondition::Incomplete,
        Look::Here(view) if view.expires.is_none_or(|expires| expires <= now) => {
            SecretCondition::Expiring
        }
        Look::Here(_) => SecretCondition::Complete,
    })
}

/// A certificate that has not expired, of the authority that is there now: when that was made anew, the agent may write the
/// one it had back into its Secret, and it opens nothing.
fn has_certificate(
    seen: &Seen,
    certificate: &SecretName,
    root: &SecretName,
    now: Timestamp,
) -> Option<bool> {
    let root = match look(seen, &root.namespace, &root.name) {
        Look::Unread => return None,
        Look::Absent => None,
        Look::Here(root) => root.authority.as_ref(),
    };
    Some(
        match look(seen, &certificate.namespace, &certificate.name) {
            Look::Unread => return None,
            Look::Absent => false,
            Look::Here(view) => {
                let lives = view
                    .certificate
                    .as_ref()
                    .is_some_and(|certificate| certificate.not_after > now);
                lives && root.is_none_or(|root| Some(root) == view.authority.as_ref())
            }
        },
    )
}

/// Makes a token; the record goes first, so that no agent ever holds a token the server has not heard of.
pub(super) async fn ensure(
    client: &Client,
    owner: ComponentId,
    spec: &SecretSpec,
    (cluster, records): (&ClusterName, &SecretName),
) -> Result<(String, bool), Fault> {
    let key = ObjectKey::secret(&spec.namespace, &spec.name);
    let api: Api<Secret> = Api::namespaced(client.clone(), &spec.namespace);
    let found = read(&api, &key).await?;
    let made = enrolment::register(client, records, cluster, LONGEST_TTL, Timestamp::now()).await;
    let made = made.map_err(|source| Fault::Enrol {
        key: key.clone(),
        source,
    })?;
    let expires = made.expires.to_string();
    let Some(found) = found else {
        let data = [("token".to_owned(), made.token.into_bytes())].into();
        let annotations = vec![(EXPIRES.to_owned(), expires)];
        return create(&api, owner, spec, (data, annotations), &key).await;
    };
    let body = json!({
        "metadata": {"resourceVersion": found.metadata.resource_version, "annotations": {EXPIRES: expires}},
        "data": {"token": ByteString(made.token.into_bytes())},
    });
    let written = api
        .patch(&spec.name, &PatchParams::default(), &Patch::Merge(&body))
        .await;
    let written = written.map_err(|source| Fault::Apply { key, source })?;
    Ok((written.metadata.uid.unwrap_or_default(), true))
}

#[cfg(test)]
mod tests;
