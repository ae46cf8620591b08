//! `gloonet dump`: one archive for a bug report.
//!
//! Secrets are never read. What other objects carry is masked where it looks like one, see [`mask`].

mod archive;
mod collect;
mod mask;

use std::path::{Path, PathBuf};

use gloonet_api::{CILIUM_NAMESPACE, MESH_NAMESPACE, OPERATOR_NAMESPACE};
use jiff::Timestamp;

use crate::fetch::{self, FetchError};
use archive::Archive;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where to write. Default: gloonet-dump-TIME.tar.gz in this folder.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Last lines of each container's log.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(i64).range(0..=100_000))]
    log_lines: i64,
}

/// No archive could be written. What cannot be read from the cluster is no error: the archive says so in errors.txt.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    #[error("there is no connection")]
    Connect(#[source] FetchError),
    #[error("{file} cannot be written", file = .file.display())]
    Write {
        file: PathBuf,
        source: std::io::Error,
    },
}

pub(crate) async fn run(kubeconfig: Option<&Path>, given: &Arguments) -> Result<String, DumpError> {
    let client = fetch::client(kubeconfig)
        .await
        .map_err(DumpError::Connect)?;
    let default = || {
        PathBuf::from(format!(
            "gloonet-dump-{}.tar.gz",
            Timestamp::now().strftime("%Y%m%dT%H%M%SZ")
        ))
    };
    let file = given.output.clone().unwrap_or_else(default);
    let mut archive = Archive::default();
    collect::cluster(&client, &mut archive).await;
    for namespace in [OPERATOR_NAMESPACE, CILIUM_NAMESPACE, MESH_NAMESPACE] {
        eprintln!("reading namespace {namespace}");
        collect::namespace(&client, namespace, given.log_lines, &mut archive).await;
    }
    let entries = archive.len();
    archive.write(&file).map_err(|source| DumpError::Write {
        file: file.clone(),
        source,
    })?;
    Ok(format!(
        "{} ({entries} files; Secrets were not read)\n",
        file.display()
    ))
}
