//! The `gloonet` command line.
//!
//! One file per subcommand. `render` works without a cluster, and so does `snapshot diff` between two files. Only `cluster register` and `cluster revoke` write, and only they
//! read Secrets: the records of tokens and the relay's root certificate, both by name.

#![forbid(unsafe_code)]

mod age;
mod cluster;
mod clusters;
mod dump;
mod duration;
mod explain;
mod fetch;
mod format;
mod forward;
mod insights;
mod offline;
mod render;
mod snapshot;
mod status;

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

/// Looks at a GlooNetwork and what it installed.
#[derive(Debug, clap::Parser)]
#[command(name = "gloonet", version, about, arg_required_else_help = true)]
pub struct Arguments {
    /// Kubeconfig to use. Default: the ServiceAccount of a pod, else $KUBECONFIG, else ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Show how the platform and each component is; with --wait, until all of it is healthy.
    Status(status::Arguments),
    /// Show the clusters of this management plane, and which of their agents are connected.
    Clusters(clusters::Arguments),
    /// Bring clusters under this management plane, or revoke what they were given.
    #[command(subcommand)]
    Cluster(cluster::Command),
    /// Show what a person should know of all clusters, and what to do about it.
    Insights(insights::Arguments),
    /// Compare what the management server was told, or wants, at two times.
    #[command(subcommand)]
    Snapshot(snapshot::Command),
    /// Print the objects a GlooNetwork leads to, without a cluster.
    Render(render::Arguments),
    /// Say what a component is, what it needs, how it is and why.
    Explain(explain::Arguments),
    /// Write one archive for a bug report. Secrets are not read, and what looks like one is masked.
    Dump(dump::Arguments),
}

/// A subcommand failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("status cannot be shown")]
    Status(#[source] status::StatusError),
    #[error("the clusters cannot be shown")]
    Clusters(#[source] clusters::ClustersError),
    #[error("the cluster is not registered")]
    Register(#[source] cluster::register::RegisterError),
    #[error("the cluster's certificates are not revoked")]
    Revoke(#[source] cluster::revoke::RevokeError),
    #[error("insights cannot be shown")]
    Insights(#[source] insights::InsightsError),
    #[error("the snapshots cannot be compared")]
    Diff(#[source] snapshot::diff::DiffError),
    #[error("nothing can be rendered")]
    Render(#[source] render::RenderFileError),
    #[error("the component cannot be explained")]
    Explain(#[source] explain::ExplainError),
    #[error("no archive was written")]
    Dump(#[source] dump::DumpError),
    #[error("standard output cannot be written")]
    Output(#[source] io::Error),
}

impl Failure {
    /// 1, except where that is an answer and no failure.
    pub fn code(&self) -> ExitCode {
        match self {
            Self::Diff(_) => ExitCode::from(DIFF_FAILED),
            _ => ExitCode::FAILURE,
        }
    }
}

/// Of diff(1): 0 the same, 1 different, 2 trouble.
const DIFFERENT: u8 = 1;
const DIFF_FAILED: u8 = 2;

/// Runs one subcommand; what it has to say goes to standard output, progress to standard error.
pub async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut code = ExitCode::SUCCESS;
    let kubeconfig = arguments.kubeconfig.as_deref();
    let text = match arguments.command {
        Command::Status(given) => status::run(kubeconfig, &given)
            .await
            .map_err(Failure::Status)?,
        Command::Clusters(given) => clusters::run(kubeconfig, &given)
            .await
            .map_err(Failure::Clusters)?,
        Command::Cluster(cluster::Command::Register(given)) => {
            cluster::register::run(kubeconfig, &given)
                .await
                .map_err(Failure::Register)?
        }
        Command::Cluster(cluster::Command::Revoke(given)) => {
            cluster::revoke::run(kubeconfig, &given)
                .await
                .map_err(Failure::Revoke)?
        }
        Command::Insights(given) => insights::run(kubeconfig, &given)
            .await
            .map_err(Failure::Insights)?,
        Command::Snapshot(snapshot::Command::Diff(given)) => {
            let (text, same) = snapshot::diff::run(kubeconfig, &given)
                .await
                .map_err(Failure::Diff)?;
            if !same {
                code = ExitCode::from(DIFFERENT);
            }
            text
        }
        Command::Render(given) => render::run(&given).map_err(Failure::Render)?,
        Command::Explain(given) => explain::run(kubeconfig, &given)
            .await
            .map_err(Failure::Explain)?,
        Command::Dump(given) => dump::run(kubeconfig, &given).await.map_err(Failure::Dump)?,
    };
    say(&mut std::io::stdout().lock(), &text).map_err(Failure::Output)?;
    Ok(code)
}

/// Writes all of it. A reader that has gone away (`| head`) has seen what it wanted: no failure.
fn say(out: &mut impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// An error and all its causes in one line; a cause that the line says already is left out.
pub fn sentence(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let words = next.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests;
