//! A cluster of the lab: the one thing tests and the command line work with.

mod balancer;
mod control_plane;
mod door;
mod down;
mod faults;
mod kubernetes;
mod link;
mod load;
mod node;
mod processes;
mod road;
mod spot;
mod status;
mod up;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use faults::Faults;
pub use link::Link;
pub use node::{Node, Part};
pub use spot::{PodNetwork, Spot};
pub use status::{NodeStatus, ProcessStatus, Status};
pub use up::{Images, Options};

use crate::addressing::{self, ClusterName};
use crate::layout::{ClusterDir, Home};
use crate::state::{State, Store};
use crate::{cgroup, command, disk, images, network, packet, pki, process, state, unpacked};

/// Why something was not done with a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name or number outside the address plan.
    #[error(transparent)]
    Addressing(#[from] addressing::Error),
    /// The cluster's record.
    #[error(transparent)]
    State(#[from] state::Error),
    /// A file.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A certificate.
    #[error(transparent)]
    Pki(#[from] pki::Error),
    /// A namespace, link or route.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// A cgroup.
    #[error(transparent)]
    Cgroup(#[from] cgroup::Error),
    /// A process that should end.
    #[error(transparent)]
    Process(#[from] process::Error),
    /// A program the lab ran.
    #[error(transparent)]
    Command(#[from] command::Error),
    /// An image archive.
    #[error(transparent)]
    Images(#[from] images::Error),
    /// Raw frames.
    #[error(transparent)]
    Packet(#[from] packet::Error),
    /// No sandbox on any node has the address.
    #[error("no pod with a network of its own has the address {0}")]
    NoPod(std::net::Ipv4Addr),
    /// Images that were unpacked before.
    #[error(transparent)]
    Unpacked(#[from] unpacked::Error),
    /// A background process did not start.
    #[error("{process} did not start: {message} (log: {log})")]
    Launch {
        process: String,
        message: String,
        log: PathBuf,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s; look at {log}")]
    Timeout {
        what: String,
        seconds: u64,
        log: PathBuf,
    },
    /// Programs the cluster is made of are missing.
    #[error("{0} not found in {1}; build them with `xtask programs`")]
    Programs(String, PathBuf),
    /// A node of this name was never added.
    #[error("cluster {cluster} has no node {node}; it has {known}")]
    NoNode {
        cluster: String,
        node: String,
        known: String,
    },
    /// The node's first process is gone.
    #[error("node {0} is not running; `gloonet-lab up` or `node restart {0} whole` starts it")]
    NodeDown(String),
    /// The machine has no free loopback port.
    #[error("no free port on 127.0.0.1")]
    Port(#[source] std::io::Error),
    /// A program started in a frozen node would be frozen with it.
    #[error("node {0} is frozen; `gloonet-lab node resume {0}` lets it go on")]
    NodePaused(String),
    /// The control plane cannot be taken away from its cluster.
    #[error("{0} is the control plane; take the whole cluster down instead")]
    ControlPlane(String),
    /// All machine-wide numbers are in use.
    #[error("there are 200 lab clusters already")]
    TooManyClusters,
    /// The own program cannot be found.
    #[error(
        "gloonet-lab itself was not found; build it with `cargo build -p gloonet-lab` or set GLOONET_LAB_PROGRAM"
    )]
    Program,
}

/// A finished step of a long operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What was done, or found done.
    pub what: String,
    /// How long it took.
    pub took: Duration,
    /// Whether anything had to be done.
    pub changed: bool,
}

/// Hears of every finished step.
pub type Report<'a> = &'a (dyn Fn(&Event) + Sync);

/// A [`Report`] for those who do not want to hear.
pub fn quiet(_: &Event) {}

/// One cluster, running or not.
#[derive(Debug, Clone)]
pub struct Cluster {
    name: ClusterName,
    store: Store,
    home: Home,
    program: PathBuf,
}

impl Cluster {
    /// The cluster called `name`, whether it exists or not.
    pub fn open(name: &str) -> Result<Self, Error> {
        let name: ClusterName = name.parse()?;
        let store = Store::of(&name);
        Ok(Self {
            name,
            store,
            home: Home::from_env(),
            program: own_program()?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &ClusterName {
        &self.name
    }

    /// Whether anything of it may be on the machine.
    pub fn exists(&self) -> bool {
        self.store.exists()
    }

    /// What the lab keeps of it.
    pub fn state(&self) -> Result<State, Error> {
        Ok(self.store.load()?)
    }

    /// Its files.
    pub fn dir(&self) -> &ClusterDir {
        self.store.dir()
    }

    /// Forgets the pid of a process, as if the lab had died between starting it and writing the pid down: for tests of
    /// `down` and `up` after a crash.
    pub fn forget_pid(&self, process: &str) -> Result<(), Error> {
        self.store.record(|s| {
            if let Some(record) = s.processes.get_mut(process) {
                (record.pid, record.started) = (None, None);
            }
        })?;
        Ok(())
    }

    /// The API server's audit log: one JSON object per line, level Metadata, stage ResponseComplete and ResponseStarted.
    pub fn audit_log(&self) -> PathBuf {
        self.dir().audit().join("audit.log")
    }

    /// A kubeconfig with administrator's rights for programs on the machine.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir().admin_kubeconfig()
    }

    /// The node called `name`.
    pub fn node(&self, name: &str) -> Result<Node<'_>, Error> {
        let state = self.state()?;
        if !state.nodes.contains_key(name) {
            let known = state
                .nodes
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Error::NoNode {
                cluster: self.name.to_string(),
                node: name.to_owned(),
                known,
            });
        }
        Ok(Node::new(self, name))
    }

    /// All nodes, by name.
    pub fn nodes(&self) -> Result<Vec<Node<'_>>, Error> {
        Ok(self
            .state()?
            .nodes
            .keys()
            .map(|name| Node::new(self, name))
            .collect())
    }

    fn home(&self) -> &Home {
        &self.home
    }

    fn program(&self) -> &Path {
        &self.program
    }
}

/// The `gloonet-lab` binary: this very program, or, for tests that use the library, the one cargo built beside them.
fn own_program() -> Result<PathBuf, Error> {
    if let Some(path) = std::env::var_os("GLOONET_LAB_PROGRAM") {
        return Ok(PathBuf::from(path));
    }
    let current = std::env::current_exe().map_err(|_| Error::Program)?;
    let beside = current
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("gloonet-lab"));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .ok_or(Error::Program)
}
