//! YAML as it stands in `bundle/`.

use anyhow::{Context, Result};
use serde_json::Value;

const HEADER: &str =
    "# Written by `./dev gen`; change the catalog or release.lock, not this file.\n";

/// One object as a file.
pub(super) fn document(value: &Value) -> Result<String> {
    Ok(format!("{HEADER}{}", body(value)?))
}

/// Several objects as one file, in their order.
pub(super) fn documents(values: &[Value], comment: &str) -> Result<String> {
    let mut text = format!("{HEADER}{comment}");
    for value in values {
        text.push_str("---\n");
        text.push_str(&body(value)?);
    }
    Ok(text)
}

fn body(value: &Value) -> Result<String> {
    serde_norway::to_string(value).context("write YAML")
}
