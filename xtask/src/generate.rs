//! `xtask gen`: everything committed that code decides: CRDs, API reference, bundle with RBAC. With `--check` it only compares.

pub mod reference;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use gloonet_api::GlooNetwork;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{bundle, home};

const HEADER: &str = "# Written by `./dev gen`; change the Rust types, not this file.\n";

/// Arguments of `xtask gen`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Compare with the committed files instead of writing them.
    #[arg(long)]
    pub check: bool,
}

/// Writes the generated files, or names those that differ.
pub fn run(arguments: &Arguments) -> Result<()> {
    let root = home::root()?;
    let files = files()?;
    if arguments.check {
        compare(&root, &files)?;
        println!("gen: {} files are what the code says", files.len());
    } else {
        write(&root, &files)?;
        println!("gen: {} files written", files.len());
    }
    bundle::run(&bundle::Arguments { check: arguments.check })
}

/// Path from the root → content.
fn files() -> Result<BTreeMap<String, String>> {
    let gloonetwork = GlooNetwork::crd();
    let mut files = BTreeMap::from([(
        "docs/reference/gloonetwork.md".to_owned(),
        reference::render(&gloonetwork).context("write the API reference")?,
    )]);
    for crd in cilium_api::crds().into_iter().chain([gloonetwork]) {
        let name = crd.metadata.name.clone().context("a CRD without a name")?;
        files.insert(format!("docs/reference/crds/{name}.yaml"), document(&crd)?);
    }
    Ok(files)
}

fn document(crd: &CustomResourceDefinition) -> Result<String> {
    // By way of a value, which orders the keys: the same text whatever the order of the type's fields.
    let value = serde_json::to_value(crd).context("write a CRD")?;
    Ok(format!("{HEADER}{}", serde_norway::to_string(&value).context("write a CRD")?))
}

fn write(root: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    for (name, text) in files {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

fn compare(root: &Path, files: &BTreeMap<String, String>) -> Result<()> {
    let differing: Vec<&str> = files
        .iter()
        .filter(|(name, text)| fs::read_to_string(root.join(name)).ok().as_ref() != Some(text))
        .map(|(name, _)| name.as_str())
        .collect();
    if !differing.is_empty() {
        bail!("not what the code says: {}; run ./dev gen and commit the result", differing.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_and_a_missing_file_are_named() {
        let root = tempfile::tempdir().unwrap();
        let files = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]);
        write(root.path(), &files).unwrap();
        compare(root.path(), &files).unwrap();
        fs::write(root.path().join("a"), "other").unwrap();
        fs::remove_file(root.path().join("b")).unwrap();
        let error = compare(root.path(), &files).unwrap_err().to_string();
        assert_eq!(error, "not what the code says: a, b; run ./dev gen and commit the result");
    }
}
