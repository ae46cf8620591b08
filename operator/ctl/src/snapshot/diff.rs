//! `gloonet snapshot diff`: two snapshots of the management server, saved before and after; or one saved before, and what it holds now.

mod compare;
mod live;
mod text;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::{fetch::FetchError, forward::ForwardError};
use compare::Difference;
use live::Which;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The earlier one: what /snapshots/input or /snapshots/output answered.
    old: PathBuf,
    /// The later one. Without it: what the management server holds now.
    #[arg(required_unless_present = "now")]
    new: Option<PathBuf>,
    /// Compare with what the management server was told, or what it wants, now. Asks it through a port forwarded to its pod.
    #[arg(
        long,
        value_enum,
        value_name = "WHICH",
        conflicts_with = "new",
        requires = "token_file"
    )]
    now: Option<Which>,
    /// File with a token of the management cluster whose owner may get /snapshots/input and /snapshots/output, as from
    /// `kubectl create token`.
    #[arg(long, value_name = "FILE", requires = "now")]
    token_file: Option<PathBuf>,
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
        "{name} is no JSON; save the whole answer of /snapshots/input or /snapshots/output of the management server"
    )]
    Json {
        name: String,
        source: serde_json::Error,
    },
    #[error(
        "{name} is no snapshot: {why}; save the whole answer of /snapshots/input or /snapshots/output of the management server"
    )]
    Form { name: String, why: String },
    #[error("the management cluster cannot be asked")]
    Fetch(#[source] FetchError),
    #[error("the management server cannot be asked")]
    Forward(#[source] ForwardError),
    #[error("pod {pod} does not answer {path}: {words}")]
    Refused {
        pod: String,
        path: &'static str,
        words: String,
    },
    #[error("cluster {cluster} is in neither of the snapshots; they have {known}")]
    Cluster { cluster: String, known: String },
}

/// What there is to say, and whether the snapshots say the same.
pub(crate) async fn run(
    kubeconfig: Option<&Path>,
    given: &Arguments,
) -> Result<(String, bool), DiffError> {
    let old = read(&given.old)?;
    let new = match (&given.new, given.now) {
        (Some(file), _) => read(file)?,
        (None, which) => live::read(kubeconfig, given, which.unwrap_or(Which::Output)).await?,
    };
    compared(&old, &new, given.cluster.as_deref())
}

fn compared(
    (old_name, old): &(String, Value),
    (new_name, new): &(String, Value),
    only: Option<&str>,
) -> Result<(String, bool), DiffError> {
    if let Some(cluster) = only
        && old.get(cluster).is_none()
        && new.get(cluster).is_none()
    {
        return Err(DiffError::Cluster {
            cluster: cluster.to_owned(),
            known: known(old, new),
        });
    }
    let form = |name: &String, why| DiffError::Form {
        name: name.clone(),
        why,
    };
    let old = compare::objects(old, only).map_err(|why| form(old_name, why))?;
    let new = compare::objects(new, only).map_err(|why| form(new_name, why))?;
    let found: Vec<Difference> = compare::differences(&old, &new);
    let same = old.len() - found.iter().filter(|one| one.was()).count();
    Ok((text::all(&found, same), found.is_empty()))
}

/// A saved snapshot, and what it is called.
fn read(file: &Path) -> Result<(String, Value), DiffError> {
    let bytes = fs::read(file).map_err(|source| DiffError::Read {
        file: file.to_owned(),
        source,
    })?;
    document(file.display().to_string(), &bytes)
}

fn document(name: String, bytes: &[u8]) -> Result<(String, Value), DiffError> {
    match serde_json::from_slice(bytes) {
        Ok(document) => Ok((name, document)),
        Err(source) => Err(DiffError::Json { name, source }),
    }
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
