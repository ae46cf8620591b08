//! `gloonet snapshot diff`: two snapshots of the management server, saved before and after. No cluster is asked.

mod compare;
mod text;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use compare::Difference;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The earlier one: what /snapshots/input or /snapshots/output answered.
    old: PathBuf,
    /// The later one.
    new: PathBuf,
    /// Only this cluster.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

/// The snapshots could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    #[error("{file} cannot be read", file = .file.display())]
    Read { file: PathBuf, source: io::Error },
    #[error(
        "{file} is no JSON; save the whole answer of /snapshots/input or /snapshots/output of the management server",
        file = .file.display()
    )]
    Json {
        file: PathBuf,
        source: serde_json::Error,
    },
    #[error(
        "{file} is no snapshot: {why}; save the whole answer of /snapshots/input or /snapshots/output of the management server",
        file = .file.display()
    )]
    Form { file: PathBuf, why: String },
    #[error("cluster {cluster} is in neither of the snapshots; they have {known}")]
    Cluster { cluster: String, known: String },
}

/// What there is to say, and whether the snapshots say the same.
pub(crate) fn run(given: &Arguments) -> Result<(String, bool), DiffError> {
    let (old, new) = (read(&given.old)?, read(&given.new)?);
    if let Some(cluster) = &given.cluster
        && old.get(cluster).is_none()
        && new.get(cluster).is_none()
    {
        return Err(DiffError::Cluster {
            cluster: cluster.clone(),
            known: known(&old, &new),
        });
    }
    let form = |file: &Path, why| DiffError::Form {
        file: file.to_owned(),
        why,
    };
    let only = given.cluster.as_deref();
    let old = compare::objects(&old, only).map_err(|why| form(&given.old, why))?;
    let new = compare::objects(&new, only).map_err(|why| form(&given.new, why))?;
    let found: Vec<Difference> = compare::differences(&old, &new);
    let same = old.len() - found.iter().filter(|one| one.was()).count();
    Ok((text::all(&found, same), found.is_empty()))
}

fn read(file: &Path) -> Result<Value, DiffError> {
    let bytes = fs::read(file).map_err(|source| DiffError::Read {
        file: file.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| DiffError::Json {
        file: file.to_owned(),
        source,
    })
}

fn known(old: &Value, new: &Value) -> String {
    let clusters = [old, new].into_iter().filter_map(Value::as_object);
    let mut names: Vec<&str> = clusters
        .flat_map(|of| of.keys())
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    text::plain(&names.join(", "))
}

#[cfg(test)]
mod tests;
