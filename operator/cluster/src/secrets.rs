//! Secrets that are made once: passwords, a certificate authority, and certificates signed by it.

mod material;
mod token;

use gloonet_api::{COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
use gloonet_catalog::{ComponentId, SecretKind, SecretName, SecretSpec};
use gloonet_plan::{NeededSecret, ObjectKey, SecretCondition};
use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    eyes::{Row, SecretView, Seen, Source},
    fault::{Fault, is_conflict, is_not_found},
};
use material::Material;

/// How each of these Secrets is, as the watches show it. One that was not read is among them: what is not named here counts as
/// unwanted, and is deleted.
pub fn judge(seen: &Seen, specs: Vec<SecretSpec>, now: Timestamp) -> Vec<NeededSecret> {
    specs
        .into_iter()
        .map(|spec| {
            let condition = condition(seen, &spec, now).unwrap_or(SecretCondition::Unread);
            NeededSecret { spec, condition }
        })
        .collect()
}

fn condition(seen: &Seen, spec: &SecretSpec, now: Timestamp) -> Option<SecretCondition> {
    if let SecretKind::Token { .. } = &spec.kind {
        return token::condition(seen, spec, now);
    }
    let found = match look(seen, &spec.namespace, &spec.name) {
        Look::Unread => return None,
        Look::Absent => return Some(SecretCondition::Missing),
        Look::Here(view) => view,
    };
    if spec.kind.keys().iter().any(|key| !found.keys.contains(key)) {
        return Some(SecretCondition::Incomplete);
    }
    let Some(ca) = spec.kind.authority() else {
        return Some(SecretCondition::Complete);
    };
    let authority = match look(seen, &ca.namespace, &ca.name) {
        Look::Unread => return None,
        Look::Absent => None,
        Look::Here(authority) => authority.certificate.as_ref(),
    };
    // A leaf of an authority that is gone proves nothing to anybody.
    let orphan =
        authority.is_some_and(|authority| Some(&authority.text) != found.authority.as_ref());
    let old = matches!(spec.kind, SecretKind::Leaf { .. })
        && found
            .certificate
            .as_ref()
            .is_none_or(|certificate| certificate.runs_out(now));
    Some(if orphan || old {
        SecretCondition::Expiring
    } else {
        SecretCondition::Complete
    })
}

enum Look<'a> {
    Unread,
    Absent,
    Here(&'a SecretView),
}

fn look<'a>(seen: &'a Seen, namespace: &str, name: &str) -> Look<'a> {
    match seen
        .table(&Source::secret(namespace, name))
        .filter(|table| table.ready)
    {
        None => Look::Unread,
        Some(table) => match table.rows.get(&(namespace.to_owned(), name.to_owned())) {
            Some(Row::Secret(view)) => Look::Here(view),
            _ => Look::Absent,
        },
    }
}

/// Makes the Secret, adds what it lacks, or renews its certificate; its UID, and whether anything was written. Values that
/// are there are kept, except those of a certificate that runs out.
pub async fn ensure(
    client: &Client,
    owner: ComponentId,
    spec: &SecretSpec,
) -> Result<(String, bool), Fault> {
    let key = ObjectKey::secret(&spec.namespace, &spec.name);
    let api: Api<Secret> = Api::namespaced(client.clone(), &spec.namespace);
    if let SecretKind::Token {
        cluster, records, ..
    } = &spec.kind
    {
        return token::ensure(client, owner, spec, (cluster, records)).await;
    }
    let authority = match spec.kind.authority() {
        Some(ca) => Some(authority(client, &key, ca).await?),
        None => None,
    };
    let found = read(&api, &key).await?;
    let Some(found) = found else {
        let made =
            material::make(&spec.kind, authority.as_ref()).map_err(|source| Fault::Make {
                key: key.clone(),
                source,
            })?;
        return create(&api, owner, spec, (made, Vec::new()), &key).await;
    };
    let missing = |name: &str| {
        found
            .data
            .as_ref()
            .and_then(|data| data.get(name))
            .is_none_or(|value| value.0.is_empty())
    };
    let renews = spec.kind.authority().is_some();
    if !renews && !spec.kind.keys().iter().any(|name| missing(name)) {
        return Ok((found.metadata.uid.unwrap_or_default(), false));
    }
    let existing = existing_password(&found);
    let made = material::complete(&spec.kind, authority.as_ref(), existing).map_err(|source| {
        Fault::Make {
            key: key.clone(),
            source,
        }
    })?;
    let data: serde_json::Map<_, _> = made
        .into_iter()
        .map(|(name, value)| (name, json!(ByteString(value))))
        .collect();
    // The resource version makes two writers a conflict: a password is never replaced by a second one.
    let body =
        json!({"metadata": {"resourceVersion": found.metadata.resource_version}, "data": data});
    let written = api
        .patch(&spec.name, &PatchParams::default(), &Patch::Merge(&body))
        .await;
    let written = written.map_err(|source| Fault::Apply { key, source })?;
    Ok((written.metadata.uid.unwrap_or_default(), true))
}

async fn read(api: &Api<Secret>, key: &ObjectKey) -> Result<Option<Secret>, Fault> {
    match api.get(&key.name).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(source) => Err(Fault::Read {
            key: key.clone(),
            source,
        }),
    }
}

async fn create(
    api: &Api<Secret>,
    owner: ComponentId,
    spec: &SecretSpec,
    (made, annotations): (Material, Vec<(String, String)>),
    key: &ObjectKey,
) -> Result<(String, bool), Fault> {
    let labels = [
        (MANAGED_BY_LABEL, MANAGED_BY),
        (COMPONENT_LABEL, owner.as_str()),
    ];
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(spec.name.clone()),
            labels: Some(
                labels
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .into(),
            ),
            annotations: (!annotations.is_empty()).then(|| annotations.into_iter().collect()),
            ..ObjectMeta::default()
        },
        data: Some(
            made.into_iter()
                .map(|(name, value)| (name, ByteString(value)))
                .collect(),
        ),
        type_: Some(match spec.kind {
            SecretKind::Ca { .. } | SecretKind::Leaf { .. } => "kubernetes.io/tls".to_owned(),
            SecretKind::Password { .. }
            | SecretKind::RedisUser { .. }
            | SecretKind::Root { .. }
            | SecretKind::Key { .. }
            | SecretKind::TokenKey
            | SecretKind::Vessel
            | SecretKind::Token { .. } => "Opaque".to_owned(),
        }),
        ..Secret::default()
    };
    match api.create(&PostParams::default(), &secret).await {
        Ok(made) => Ok((made.metadata.uid.unwrap_or_default(), true)),
        // Somebody else was faster; theirs counts, and the next look judges it.
        Err(error) if is_conflict(&error) => Ok((String::new(), false)),
        Err(source) => Err(Fault::Apply {
            key: key.clone(),
            source,
        }),
    }
}

/// Certificate and key of the authority, in PEM.
async fn authority(
    client: &Client,
    leaf: &ObjectKey,
    ca: &SecretName,
) -> Result<(String, String), Fault> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &ca.namespace);
    let missing = || Fault::NoAuthority { key: leaf.clone() };
    match api.get(&ca.name).await {
        Ok(secret) => {
            let mut data = secret.data.unwrap_or_default();
            let mut text = |key: &str| {
                data.remove(key)
                    .and_then(|value| String::from_utf8(value.0).ok())
            };
            Ok((
                text("tls.crt").ok_or_else(missing)?,
                text("tls.key").ok_or_else(missing)?,
            ))
        }
        Err(error) if is_not_found(&error) => Err(missing()),
        Err(source) => Err(Fault::Read {
            key: ObjectKey::secret(&ca.namespace, &ca.name),
            source,
        }),
    }
}

fn existing_password(secret: &Secret) -> Option<String> {
    let value = secret.data.as_ref()?.get("password")?;
    String::from_utf8(value.0.clone())
        .ok()
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
