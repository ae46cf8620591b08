//! Fields of Gloo's that this release does not follow.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A field that is taken, kept as written, and named in the status.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Unsupported(pub Value);

impl JsonSchema for Unsupported {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Unsupported".into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"x-kubernetes-preserve-unknown-fields": true})
    }
}

/// Collects the paths of unsupported fields that are set.
#[derive(Debug, Default)]
pub struct Paths(Vec<String>);

impl Paths {
    /// Notes each of these fields of the object at `at` that is set.
    pub fn note(&mut self, at: &str, fields: &[(&str, &Option<Unsupported>)]) {
        let set = fields.iter().filter(|(_, field)| field.is_some());
        self.0.extend(set.map(|(name, _)| format!("{at}.{name}")));
    }

    /// Notes one path.
    pub fn add(&mut self, path: String) {
        self.0.push(path);
    }

    /// The paths, as in `spec.config.authzList[0].allowedPaths`.
    pub fn into_vec(self) -> Vec<String> {
        self.0
    }
}
