//! `xtask gen`: everything committed that code decides: CRDs, API reference, bundle with RBAC. With `--check` it only compares.

pub mod insights;
pub mod metrics;
pub mod reference;

use std::path::PathBuf;

use anyhow::{Context, Result};
use gloonet_api::GlooNetwork;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::generated::{self, Files};
use crate::{bundle, home};

const FOLDER: &str = "docs/reference";

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
    for (place, files) in [(FOLDER, files()?), (insights::FOLDER, insights::files())] {
        let folder = home::root()?.join(place);
        if arguments.check {
            generated::compare(&folder, &files)?;
            println!(
                "gen: {} files of {place} are what the code says",
                files.len()
            );
        } else {
            generated::write(&folder, &files)?;
            println!("gen: {} files written to {place}", files.len());
        }
    }
    bundle::run(&bundle::Arguments {
        check: arguments.check,
    })
}

fn files() -> Result<Files> {
    let gloonetwork = GlooNetwork::crd();
    let page = reference::render(&gloonetwork).context("write the API reference")?;
    let mut files = Files::from([
        (PathBuf::from("gloonetwork.md"), page),
        (PathBuf::from("metrics.md"), metrics::page()?),
    ]);
    let all = cilium_api::crds().into_iter().chain(gloo_api::crds());
    for crd in all.chain([gloonetwork]) {
        let name = crd.metadata.name.clone().context("a CRD without a name")?;
        files.insert(PathBuf::from(format!("crds/{name}.yaml")), document(&crd)?);
    }
    Ok(files)
}

fn document(crd: &CustomResourceDefinition) -> Result<String> {
    // By way of a value, which orders the keys: the same text whatever the order of the type's fields.
    let value = serde_json::to_value(crd).context("write a CRD")?;
    Ok(format!(
        "{HEADER}{}",
        serde_norway::to_string(&value).context("write a CRD")?
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_custom_resource_of_the_project_is_written() {
        let names: Vec<String> = files()
            .unwrap()
            .keys()
            .map(|path| path.display().to_string())
            .collect();
        for name in [
            "gloonetwork.md",
            "crds/gloonetworks.gloonetwork.io.yaml",
            "crds/ciliumnodes.cilium.io.yaml",
            "crds/workspaces.admin.gloo.solo.io.yaml",
        ] {
            assert!(
                names.iter().any(|known| known == name),
                "no {name} in {names:?}"
            );
        }
    }
}
