//! What a component says of itself in JSON.

use gloonet_catalog::JsonCheck;
use serde_json::Value;

/// Characters of the component's own words that are repeated in a sentence.
const QUOTED: usize = 200;

/// The first pointer that is not as it must be, with the component's own words.
pub(super) fn judge(body: &str, check: &JsonCheck) -> Result<(), String> {
    let whole: Value = serde_json::from_str(body).map_err(|error| error.to_string())?;
    let at = |pointer: &String| whole.pointer(pointer).is_some_and(is_set);
    let missing = check.set.iter().find(|pointer| !at(pointer));
    let too_much = check.unset.iter().find(|pointer| at(pointer));
    let why = match (missing, too_much) {
        (None, None) => return Ok(()),
        (Some(pointer), _) => format!("{} is not set", name(pointer)),
        (None, Some(pointer)) => format!("{} is set", name(pointer)),
    };
    let words = check.quote.iter().filter_map(|pointer| {
        let value = whole.pointer(pointer).filter(|value| is_set(value))?;
        Some(format!("{} {}", name(pointer), quoted(value)))
    });
    Err(std::iter::once(why)
        .chain(words)
        .collect::<Vec<_>>()
        .join("; "))
}

/// `/translation/errors` as people write it.
fn name(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

/// Anything but null, false, zero and what is empty.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(said) => *said,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn quoted(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars()
        .take(QUOTED)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent() -> JsonCheck {
        let list = |pointers: &[&str]| pointers.iter().map(|&pointer| pointer.to_owned()).collect();
        JsonCheck {
            path: "/relay".to_owned(),
            set: list(&["/connected", "/warmed"]),
            unset: list(&["/translation/errors"]),
            quote: list(&["/state", "/last_error"]),
        }
    }

    #[test]
    fn what_is_as_it_must_be_passes_also_where_the_unwanted_is_absent_zero_or_empty() {
        for errors in [
            "",
            r#","translation":{"errors":0}"#,
            r#","translation":{"errors":[]}"#,
        ] {
            let body = format!(r#"{{"connected":true,"warmed":true{errors}}}"#);
            assert_eq!(judge(&body, &agent()), Ok(()), "{body}");
        }
    }

    #[test]
    fn what_is_not_is_named_with_the_components_own_words() {
        let body = r#"{"connected":false,"state":"waiting","last_error":"token\nexpired"}"#;
        assert_eq!(
            judge(body, &agent()).unwrap_err(),
            "connected is not set; state waiting; last_error token expired"
        );
        let body = r#"{"connected":true,"warmed":true,"translation":{"errors":["a/b"]}}"#;
        assert_eq!(
            judge(body, &agent()).unwrap_err(),
            "translation.errors is set"
        );
    }

    #[test]
    fn no_answer_is_too_long_or_too_strange_to_be_repeated() {
        let body = format!(r#"{{"last_error":"{}"}}"#, "x".repeat(5000));
        assert!(judge(&body, &agent()).unwrap_err().len() < 300);
        assert!(judge("<html>", &agent()).is_err());
    }
}
