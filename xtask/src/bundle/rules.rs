//! The rules of `operator-sdk bundle validate`, of the community pipeline and of OLM's limits that need no cluster, and two of
//! ours (no wide rights, an install file without gaps). Each broken rule is a sentence that names the place.

mod csv;
mod install;
mod metadata;
mod objects;
mod page;
mod permissions;

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::generated::Files;

/// A bundle as a catalogue reads it: parsed files, no knowledge of how they were made.
#[derive(Debug, Clone)]
struct Bundle {
    /// Every object below `manifests/`, with its file.
    manifests: Vec<(String, Value)>,
    annotations: Value,
    /// Objects of `install.yaml`, in order.
    install: Vec<Value>,
}

/// All sentences about broken rules; none when the bundle is good.
pub(super) fn check(files: &Files) -> Result<Vec<String>> {
    Ok(Bundle::parse(files)?.broken_rules())
}

impl Bundle {
    fn parse(files: &Files) -> Result<Self> {
        let mut bundle = Self {
            manifests: Vec::new(),
            annotations: Value::Null,
            install: Vec::new(),
        };
        for (path, text) in files {
            let documents = documents(path, text)?;
            if path.starts_with("manifests") {
                let name = path.display().to_string();
                bundle
                    .manifests
                    .extend(documents.into_iter().map(|object| (name.clone(), object)));
            } else if path == Path::new("install.yaml") {
                bundle.install = documents;
            } else if path == Path::new("metadata/annotations.yaml") {
                bundle.annotations = documents.into_iter().next().unwrap_or_default();
            }
        }
        Ok(bundle)
    }

    fn broken_rules(&self) -> Vec<String> {
        [
            csv::identity(self),
            page::what_people_read(self),
            csv::install_modes(self),
            csv::images(self),
            csv::examples(self),
            csv::promises(self),
            objects::kinds(self),
            objects::definitions(self),
            objects::disruption_budgets(self),
            objects::containers(self),
            permissions::narrow(self),
            metadata::annotations(self),
            install::complete(self),
            install::starts_without_network(self),
        ]
        .concat()
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.manifests
            .iter()
            .map(|(_, object)| object)
            .filter(move |object| object["kind"] == kind)
    }

    /// The ClusterServiceVersion; `Null` when there is none, which `csv::identity` reports.
    fn csv(&self) -> &Value {
        self.of_kind("ClusterServiceVersion")
            .next()
            .unwrap_or(&Value::Null)
    }
}

fn documents(path: &Path, text: &str) -> Result<Vec<Value>> {
    serde_norway::Deserializer::from_str(text)
        .map(|document| {
            serde::Deserialize::deserialize(document)
                .with_context(|| format!("{} is not YAML", path.display()))
        })
        .filter(|document| !matches!(document, Ok(Value::Null)))
        .collect()
}

/// The strings of a list, or none.
fn strings(list: &Value) -> Vec<&str> {
    list.as_array()
        .map(|items| items.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// The items of a list, or none.
fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests;
