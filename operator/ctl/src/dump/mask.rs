//! Takes out of an object what has no place in a bug report.

use serde_json::Value;

/// What stands where a value was.
const MASK: &str = "(masked)";
/// Words in the name of an environment variable, argument or key after which its value is masked.
const TELLING: [&str; 8] = [
    "password",
    "passwd",
    "token",
    "secret",
    "apikey",
    "api_key",
    "credential",
    "private",
];

/// Removes managed fields and the last-applied annotation (which repeats the object unmasked), masks literal values of
/// environment variables, ConfigMap entries and arguments whose names tell of a secret, and PEM private keys anywhere.
pub(super) fn mask(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
    }
    walk(object);
}

fn walk(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let named = fields
                .get("name")
                .and_then(Value::as_str)
                .is_some_and(tells);
            for (key, child) in fields {
                let literal =
                    child.is_string() && ((named && key == "value") || tells_of_literal(key));
                if literal {
                    *child = MASK.into();
                } else {
                    walk(child);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(walk),
        Value::String(text) => *text = mask_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn tells(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

/// A key that tells of a secret, but not one that only names or places one (`secretName`, `tokenPath`, `passwordFile`).
fn tells_of_literal(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    tells(&key)
        && !["name", "path", "file", "ref", "key", "policy"]
            .iter()
            .any(|ending| key.ends_with(ending))
}

/// Masks, in a text of lines, private keys in PEM, bearer tokens and `password=…` settings.
pub(super) fn mask_text(text: &str) -> String {
    let mut in_key = false;
    let mut lines = Vec::new();
    for line in text.split('\n') {
        let begins = line.contains("-----BEGIN") && line.contains("PRIVATE KEY");
        if begins || in_key {
            in_key = !line.contains("-----END");
            if begins {
                lines.push(MASK.to_owned());
            }
            continue;
        }
        lines.push(mask_line(line));
    }
    lines.join("\n")
}

fn mask_line(line: &str) -> String {
    let mut hide_next = false;
    let words = line.split(' ').map(|word| {
        let hide = std::mem::take(&mut hide_next);
        let lower = word.to_ascii_lowercase();
        hide_next = ["bearer", "requirepass"].contains(&lower.trim_matches('"'))
            || ends_a_telling_key(&lower);
        if hide && !word.is_empty() {
            return MASK.to_owned();
        }
        match word.split_once('=') {
            Some((name, value)) if tells_of_literal(name) && !value.is_empty() => {
                format!("{name}={MASK}")
            }
            _ => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `password:` in YAML; the value is the next word.
fn ends_a_telling_key(word: &str) -> bool {
    word.strip_suffix(':')
        .is_some_and(|key| tells_of_literal(key.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CANARY: &str = "c4n4ry";

    fn masked(mut value: Value) -> String {
        mask(&mut value);
        value.to_string()
    }

    #[test]
    fn a_planted_secret_survives_nowhere() {
        let places = [
            json!({"spec": {"containers": [{"env": [{"name": "REDIS_PASSWORD", "value": CANARY}]}]}}),
            json!({"spec": {"containers": [{"args": [format!("--admin-token={CANARY}")]}]}}),
            json!({"data": {"redis.conf": format!("port 6379\nrequirepass {CANARY}\n")}}),
            json!({"data": {"config.yaml": format!("basic_auth:\n  password: {CANARY}\n")}}),
            json!({"data": {"password": CANARY}}),
            json!({"data": {"tls.pem": format!("-----BEGIN EC PRIVATE KEY-----\n{CANARY}\n-----END EC PRIVATE KEY-----\n")}}),
            json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": CANARY}}}),
            json!({"metadata": {"managedFields": [CANARY]}}),
        ];
        for place in places {
            let text = masked(place.clone());
            assert!(!text.contains(CANARY), "{place} became {text}");
        }
        assert!(!mask_text(&format!("GET /x Authorization: Bearer {CANARY}")).contains(CANARY));
    }

    #[test]
    fn references_to_secrets_stay_readable() {
        let value = json!({
            "volumes": [{"name": "tls", "secret": {"secretName": "gateway-tls"}}],
            "env": [{"name": "REDIS_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "gloo-mesh-redis", "key": "password"}}}],
        });
        assert_eq!(masked(value.clone()), value.to_string());
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        let text = "level=info msg=\"two of three nodes are ready\" node=worker-1\nsecond line";
        assert_eq!(mask_text(text), text);
    }
}
