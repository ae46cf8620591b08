//! Ties pods to the Secrets they read.
//!
//! Programs read passwords and keys when they start. When somebody deletes a Secret that the operator made, a new one with
//! new values takes its place, and pods that still hold the old values have to start anew. The UID of the Secret in the pod
//! template does that. A certificate that is renewed keeps its Secret's UID: programs reload those by themselves. The
//! authority they trust they read once, so a certificate counts with its authority.

use serde_json::{Value, json};

use crate::{DesiredObject, NeededSecret, ObjectKey};

const ANNOTATION: &str = "secret.gloonetwork.io/";

/// The object, with an annotation in its pod template for each of the `made` Secrets it reads.
pub(super) fn to_secrets(
    object: &DesiredObject,
    made: &[ObjectKey],
    uid: &impl Fn(&ObjectKey) -> Option<String>,
) -> DesiredObject {
    let pod = &object.body.data["spec"]["template"]["spec"];
    if !object.key.is_workload() || pod.is_null() {
        return object.clone();
    }
    let mut names = Vec::new();
    referenced(pod, &mut names);
    let mut body = object.body.clone();
    for key in made
        .iter()
        .filter(|key| key.namespace == object.key.namespace && names.contains(&key.name.as_str()))
    {
        if let Some(uid) = uid(key) {
            body.data["spec"]["template"]["metadata"]["annotations"]
                [format!("{ANNOTATION}{}", key.name)] = json!(uid);
        }
    }
    DesiredObject::new(body).unwrap_or_else(|| object.clone())
}

/// What tells one making of a Secret from the next: its UID, and for a certificate that of its authority's Secret as well.
pub(super) fn made_as(
    key: &ObjectKey,
    secrets: &[NeededSecret],
    uid: &impl Fn(&ObjectKey) -> Option<String>,
) -> Option<String> {
    let own = uid(key)?;
    let needed = secrets.iter().find(|secret| secret.key() == *key)?;
    let Some(ca) = needed.spec.kind.authority() else {
        return Some(own);
    };
    let authority = uid(&ObjectKey::secret(&ca.namespace, &ca.name))?;
    Some(format!("{own}.{authority}"))
}

/// Names of Secrets in volumes, projections and environment.
fn referenced<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            for (field, child) in fields {
                let name = match field.as_str() {
                    "secret" => child.get("secretName").or_else(|| child.get("name")),
                    "secretKeyRef" | "secretRef" => child.get("name"),
                    _ => None,
                };
                names.extend(name.and_then(Value::as_str));
                referenced(child, names);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| referenced(item, names)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use gloonet_catalog::{OPERATOR_NAMESPACE, SecretKind, SecretName, SecretSpec};

    use super::*;
    use crate::SecretCondition;

    fn deployment() -> DesiredObject {
        let body = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "redis", "namespace": "gloo-mesh"},
        "spec": {"template": {"spec": {
            "volumes": [{"name": "acl", "secret": {"secretName": "redis-auth"}}, {"name": "own", "secret": {"secretName": "users"}}],
            "containers": [{"name": "c", "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "grafana-admin", "key": "password"}}}]}],
        }}}});
        DesiredObject::new(serde_json::from_value(body).unwrap()).unwrap()
    }

    #[test]
    fn pods_carry_the_uid_of_each_made_secret_they_read_and_of_no_other() {
        let made = ["redis-auth", "grafana-admin", "unread"]
            .map(|name| ObjectKey::secret("gloo-mesh", name));
        let bound = to_secrets(&deployment(), &made, &|key| {
            Some(format!("uid-of-{}", key.name))
        });
        let annotations = &bound.body.data["spec"]["template"]["metadata"]["annotations"];
        let wanted = json!({"secret.gloonetwork.io/redis-auth": "uid-of-redis-auth", "secret.gloonetwork.io/grafana-admin": "uid-of-grafana-admin"});
        assert_eq!(annotations, &wanted);
    }

    #[test]
    fn a_secret_made_anew_changes_the_fingerprint() {
        let made = [ObjectKey::secret("gloo-mesh", "redis-auth")];
        let first = to_secrets(&deployment(), &made, &|_| Some("1".to_owned()));
        let again = to_secrets(&deployment(), &made, &|_| Some("1".to_owned()));
        let anew = to_secrets(&deployment(), &made, &|_| Some("2".to_owned()));
        assert_eq!(first.fingerprint, again.fingerprint);
        assert_ne!(first.fingerprint, anew.fingerprint);
    }

    #[test]
    fn an_authority_made_anew_counts_for_every_certificate_it_signed_and_for_nothing_else() {
        let needed = |name: &str, kind| NeededSecret {
            spec: SecretSpec {
                namespace: "gloo-mesh".to_owned(),
                name: name.to_owned(),
                kind,
            },
            condition: SecretCondition::Complete,
        };
        let leaf = SecretKind::Leaf {
            ca: SecretName::new(OPERATOR_NAMESPACE, "ca"),
            common_name: "gateway".to_owned(),
            dns_names: Vec::new(),
            usages: Vec::new(),
            days: 90,
        };
        let password = SecretKind::Password {
            username: "admin".to_owned(),
            length: 32,
        };
        let secrets = [needed("gateway-tls", leaf), needed("admin", password)];
        let made = |name: &str, authority: &str| {
            let uid = |key: &ObjectKey| {
                let of_authority = key.namespace.as_deref() == Some(OPERATOR_NAMESPACE);
                Some(if of_authority { authority } else { "own" }.to_owned())
            };
            made_as(&ObjectKey::secret("gloo-mesh", name), &secrets, &uid)
        };
        assert_ne!(made("gateway-tls", "1"), made("gateway-tls", "2"));
        assert_eq!(made("admin", "1"), made("admin", "2"));
    }
}
