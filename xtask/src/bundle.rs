//! `./dev bundle` writes `bundle/`: the OLM bundle and `install.yaml`, both from the catalog's own objects, and holds them to the rules of
//! OperatorHub that need no cluster.

mod about;
mod csv;
mod install;
mod metadata;
mod rules;
mod source;
mod yaml;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

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

/// Files of the bundle by path below `bundle/`.
type Files = BTreeMap<PathBuf, String>;

/// Generates the bundle, refuses it when it breaks a rule, then writes or compares it.
pub fn run(arguments: &Arguments) -> Result<()> {
    let source = Source::of_this_tree()?;
    let files = generate(&source)?;
    let broken = rules::check(&files)?;
    if !broken.is_empty() {
        bail!("the bundle breaks {} rule(s):\n  {}", broken.len(), broken.join("\n  "));
    }
    let folder = home::root()?.join(FOLDER);
    if arguments.check {
        compare(&folder, &files)
    } else {
        write(&folder, &files)
    }
}

fn generate(source: &Source) -> Result<Files> {
    let mut files = Files::from([
        (PathBuf::from("install.yaml"), install::render(source)?),
        (
            PathBuf::from("manifests/gloonet-operator.clusterserviceversion.yaml"),
            yaml::document(&csv::render(source)?)?,
        ),
        (PathBuf::from("metadata/annotations.yaml"), metadata::annotations(source)?),
        (PathBuf::from("tests/scorecard/config.yaml"), metadata::scorecard()?),
    ]);
    for crd in &source.crds {
        files.insert(
            PathBuf::from(format!("manifests/{}.crd.yaml", source::name(crd)?)),
            yaml::document(crd)?,
        );
    }
    for object in csv::bundled_objects(source)? {
        files.insert(
            PathBuf::from(format!("manifests/{}", source::file_name(object)?)),
            yaml::document(object)?,
        );
    }
    Ok(files)
}

fn write(folder: &Path, files: &Files) -> Result<()> {
    for stray in strays(folder, files)? {
        fs::remove_file(&stray).with_context(|| format!("remove {}", stray.display()))?;
    }
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))?;
        }
        fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
    }
    println!("bundle: {} files written to {FOLDER}/", files.len());
    Ok(())
}

fn compare(folder: &Path, files: &Files) -> Result<()> {
    let mut differing: Vec<String> = strays(folder, files)?
        .into_iter()
        .map(|path| format!("{} is not generated any more", path.display()))
        .collect();
    for (name, text) in files {
        let path = folder.join(name);
        match fs::read_to_string(&path) {
            Ok(found) if found == *text => {}
            Ok(_) => differing.push(format!("{} differs from what the code says", path.display())),
            Err(error) => differing.push(format!("{} cannot be read: {error}", path.display())),
        }
    }
    if differing.is_empty() {
        println!("bundle: {} files are what the code says", files.len());
        return Ok(());
    }
    bail!("{}\nrun `./dev bundle` and commit the result", differing.join("\n"))
}

/// Files below the folder that are not generated.
fn strays(folder: &Path, files: &Files) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        if !next.is_dir() {
            continue;
        }
        for entry in fs::read_dir(&next).with_context(|| format!("list {}", next.display()))? {
            let path = entry.with_context(|| format!("list {}", next.display()))?.path();
            let known = path.strip_prefix(folder).is_ok_and(|name| files.contains_key(name));
            if path.is_dir() {
                open.push(path);
            } else if !known {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests;
