//! Takes out of an object what has no place in a bug report.

mod text;

use serde_json::Value;

pub(super) use text::mask_text;

/// What stands where a value was.
const MASK: &str = "(masked)";
/// Words in the name of an environment variable, argument or key after which its value is masked; hyphens and underscores do not count.
const TELLING: [&str; 8] = [
    "password",
    "passwd",
    "token",
    "secret",
    "apikey",
    "accesskey",
    "credential",
    "private",
];
/// How names end that only name or place a secret (`secretName`, `tokenPath`, `passwordFile`, and `passwordKey` of a Secret).
const REFERRING: [&str; 6] = ["name", "path", "file", "ref", "key", "policy"];
/// Keys that are secret themselves.
const KEYS: [&str; 4] = ["apikey", "accesskey", "privatekey", "secretkey"];
/// Fields of a GlooNetwork whose values are names of Secrets.
const NAMES: [&str; 4] = ["credentialssecret", "casecret", "envsecret", "pullsecrets"];

/// Removes managed fields and the last-applied annotation (which repeats the object unmasked), masks literal values of
/// environment variables, ConfigMap entries, arguments and headers whose names tell of a secret, and in texts what [`mask_text`] finds.
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
            let named = ["name", "key"].iter().any(|field| {
                let name = fields.get(*field).and_then(Value::as_str);
                name.is_some_and(tells)
            });
            for (key, child) in fields {
                if tells_of_literal(key) || (named && key == "value") {
                    hide(child);
                }
                walk(child);
            }
        }
        Value::Array(items) => arguments(items),
        Value::String(text) => *text = mask_text(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A literal, or a list of them.
fn hide(value: &mut Value) {
    match value {
        Value::String(_) => *value = MASK.into(),
        Value::Array(items) => items
            .iter_mut()
            .filter(|item| item.is_string())
            .for_each(hide),
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The value of an argument stands behind `=`, or is the next item.
fn arguments(items: &mut [Value]) {
    let mut hide_next = false;
    for item in items {
        let text = item.as_str().unwrap_or_default();
        let hidden = std::mem::replace(&mut hide_next, is_telling_flag(text));
        if hidden && !text.starts_with("--") {
            hide(item);
        } else if let Some((name, _)) = setting(text) {
            *item = format!("{name}={MASK}").into();
        } else {
            walk(item);
        }
    }
}

/// `--password=x`, all in one.
fn setting(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once('=')?;
    (is_one_word(name) && tells_of_literal(name)).then_some((name, value))
}

/// `--password`, whose value is what comes next.
fn is_telling_flag(text: &str) -> bool {
    text.starts_with('-') && !text.contains('=') && is_one_word(text) && tells_of_literal(text)
}

fn is_one_word(text: &str) -> bool {
    !text.contains(char::is_whitespace)
}

fn tells(name: &str) -> bool {
    let name = plain(name);
    TELLING.iter().any(|word| name.contains(word)) || name.ends_with("authorization")
}

/// A name that tells of a secret and not only where it is.
fn tells_of_literal(name: &str) -> bool {
    let plain = plain(name);
    let field = plain.rsplit('.').next().unwrap_or_default();
    let ends = |endings: &[&str]| endings.iter().any(|ending| plain.ends_with(ending));
    tells(name) && !NAMES.contains(&field) && (ends(&KEYS) || !ends(&REFERRING))
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '_'], "")
}

#[cfg(test)]
mod tests;
