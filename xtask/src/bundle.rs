//! `./dev bundle` writes `bundle/`: the OLM bundle and `install.yaml`, both from the catalog's own objects, and holds them to the rules of
//! OperatorHub that need no cluster.

mod about;
mod csv;
mod install;
mod metadata;
mod rules;
mod source;
mod yaml;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::generated::{self, Files};
use crate::home;

use source::Source;

const FOLDER: &str = "bundle";

/// Arguments of `xtask bundle`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Compare with the committed files instead of writing them.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Generates the bundle, refuses it when it breaks a rule, then writes or compares it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let source = Source::of_this_tree()?;
    let files = generate(&source)?;
    let broken = rules::check(&files)?;
    if !broken.is_empty() {
        bail!(
            "the bundle breaks {} rule(s):\n  {}",
            broken.len(),
            broken.join("\n  ")
        );
    }
    let folder = home::root()?.join(FOLDER);
    if arguments.check {
        generated::compare(&folder, &files)?;
        println!("bundle: {} files are what the code says", files.len());
    } else {
        generated::write(&folder, &files)?;
        println!("bundle: {} files written to {FOLDER}/", files.len());
    }
    Ok(())
}

fn generate(source: &Source) -> Result<Files> {
    let mut files = Files::from([
        (PathBuf::from("install.yaml"), install::render(source)?),
        (
            PathBuf::from("manifests/gloonet-operator.clusterserviceversion.yaml"),
            yaml::document(&csv::render(source)?)?,
        ),
        (
            PathBuf::from("metadata/annotations.yaml"),
            metadata::annotations(source)?,
        ),
        (
            PathBuf::from("tests/scorecard/config.yaml"),
            metadata::scorecard()?,
        ),
    ]);
    for crd in &source.crds {
        files.insert(
            PathBuf::from(format!("manifests/{}.crd.yaml", source::name(crd)?)),
            yaml::document(crd)?,
        );
    }
    for object in csv::bundled_objects(source) {
        files.insert(
            PathBuf::from(format!("manifests/{}", source::file_name(object)?)),
            yaml::document(object)?,
        );
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_generations_of_the_same_tree_are_the_same_bytes() {
        let source = Source::of_this_tree().unwrap();
        assert_eq!(generate(&source).unwrap(), generate(&source).unwrap());
    }
}
