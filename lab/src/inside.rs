//! What runs as `gloonet-lab internal SPEC`: small single-threaded processes that enter a node's namespaces and become, or
//! start, something there. Entering namespaces is done here and not in the caller, because a mount or pid namespace can be
//! entered by a process of one thread only.

mod balancer;
mod door;
mod enter;
mod fault_proxy;
mod node_init;
mod relay;
mod rootfs;

use std::path::PathBuf;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

pub use balancer::Balancer;
pub use door::Door;
pub use enter::{Enter, Place};
pub use fault_proxy::FaultProxy;
pub use node_init::{NodeInit, NodeRoot};
pub use relay::{Impairment, Relay};
pub use rootfs::{Bind, Rootfs};

/// Why an internal process ends with an error. Its one line goes to the lab process that started it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The specification is not one of this program's.
    #[error("internal specification not understood")]
    Spec(#[source] serde_json::Error),
    /// A namespace could not be entered or made.
    #[error("cannot {what}")]
    Namespace {
        what: String,
        #[source]
        source: nix::errno::Errno,
    },
    /// A file could not be opened, made or written.
    #[error("cannot open or write {path}")]
    File {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A mount was refused.
    #[error("cannot mount {what} on {on}")]
    Mount {
        what: String,
        on: PathBuf,
        #[source]
        source: nix::errno::Errno,
    },
    /// A cgroup refused the process.
    #[error("the node's cgroups cannot be used")]
    Cgroup(#[from] crate::cgroup::Error),
    /// A program could not be started.
    #[error("cannot start {program}")]
    Start {
        program: String,
        #[source]
        source: std::io::Error,
    },
    /// The door's loopback port is taken, or the like.
    #[error("cannot open the door on 127.0.0.1:{port}")]
    Door {
        port: u16,
        #[source]
        source: std::io::Error,
    },
    /// The port of the node's address is taken, or the like.
    #[error("cannot listen on {listen} in the node")]
    Balancer {
        listen: std::net::SocketAddrV4,
        #[source]
        source: std::io::Error,
    },
    /// Talking to the lab process failed.
    #[error("cannot report to the lab")]
    Report(#[source] std::io::Error),
    /// A certificate or key of the cluster is unusable.
    #[error("cannot use the cluster's certificates: {0}")]
    Tls(String),
    /// Frames could not be read or sent.
    #[error("the cable broke")]
    Packet(#[from] crate::packet::Error),
    /// The node's first process did not come up.
    #[error("the node's first process failed: {0}")]
    Init(String),
}

/// One internal process, as it is written on its command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spec {
    /// Makes a node's namespaces and starts its first process.
    NodeInit(Box<NodeInit>),
    /// The node's first process.
    NodeRoot(Box<NodeRoot>),
    /// Runs a program in a node.
    Enter(Box<Enter>),
    /// Forwards a loopback port into a namespace.
    Door(Door),
    /// Forwards a port of a node to a Service.
    Balancer(Balancer),
    /// Stands before the API server.
    FaultProxy(Box<FaultProxy>),
    /// Copies frames between two interfaces, late or not at all.
    Relay(Relay),
}

/// Runs an internal process to its end.
pub fn run(spec: &str) -> Result<ExitCode, Error> {
    match serde_json::from_str(spec).map_err(Error::Spec)? {
        Spec::NodeInit(spec) => node_init::run(&spec),
        Spec::NodeRoot(spec) => node_init::run_root(&spec),
        Spec::Enter(spec) => enter::run(&spec),
        Spec::Door(spec) => door::run(&spec),
        Spec::Balancer(spec) => balancer::run(&spec),
        Spec::FaultProxy(spec) => fault_proxy::run(&spec),
        Spec::Relay(spec) => relay::run(&spec),
    }
}

fn namespace(what: impl Into<String>) -> impl FnOnce(nix::errno::Errno) -> Error {
    let what = what.into();
    move |source| Error::Namespace { what, source }
}

fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |source| Error::File { path, source }
}
