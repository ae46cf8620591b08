use std::io;
use std::path::PathBuf;

use cilium_cni::client::ClientError;
use cilium_cni::install::InstallError;

/// Why a command could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no Cilium agent listens on {0}; look at pod cilium of this node in kube-system, or name another socket with --host"
    )]
    NotRunning(String),
    #[error(
        "no permission to open {0}, which is for root only; run this in the agent's container or as root on the node"
    )]
    NoPermission(String),
    #[error("cannot ask the agent for {asked}")]
    Ask {
        asked: String,
        #[source]
        source: ClientError,
    },
    #[error("the agent did not answer the question for {asked}: {message}")]
    Refused { asked: String, message: String },
    #[error(
        "the agent's answer about {asked} is not understood; cilium-dbg and the agent must be of one release"
    )]
    Answer {
        asked: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the output holds nothing at {0}")]
    NoSuchPath(String),
    #[error("cannot write the output")]
    Output(#[source] io::Error),
    #[error("the agent is not well: {0}")]
    Unhealthy(String),
    #[error(
        "after {seconds} s the datapath has policy revision {has} and not {wanted}; cilium-dbg status says whether policies cannot be written"
    )]
    Behind { wanted: u64, has: u64, seconds: u64 },
    #[error(
        "a Cilium agent runs on this node and holds {0}: its pods need what would be removed; delete the GlooNetwork, or switch \
         spec.cilium.state to Removed, and wait until the pods of DaemonSet cilium are gone"
    )]
    AgentRuns(String),
    #[error(
        "nothing was removed; with --force these {0} go, and pods that still run on this node lose their network"
    )]
    NotForced(usize),
    #[error(
        "{folder} is no folder, so what is left there cannot be told; mount the node's, or name it with {option}"
    )]
    NoFolder {
        folder: PathBuf,
        option: &'static str,
    },
    #[error("cannot learn from {path} whether an agent runs")]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot tell whether the CNI plugin of this node is ours")]
    Installed(#[source] InstallError),
    #[error("cannot clean the node's datapath")]
    Datapath(#[source] datapath::Error),
    #[error(
        "cannot remove {path}; when that is mended, the same command goes on with what is left"
    )]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// The reader has seen enough, as `head` does; that is no failure.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// Tells the two reasons apart that people can do something about.
    pub(crate) fn connecting(socket: &str, source: ClientError) -> Self {
        let kind = match &source {
            ClientError::Connect { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        match kind {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                Self::NotRunning(socket.to_owned())
            }
            io::ErrorKind::PermissionDenied => Self::NoPermission(socket.to_owned()),
            _ => Self::Ask {
                asked: "a connection".to_owned(),
                source,
            },
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
