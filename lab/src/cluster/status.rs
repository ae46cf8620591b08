//! What of a cluster runs, seen from the machine.

use serde::Serialize;

use super::{Cluster, Error};
use crate::process;

/// A cluster as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its name.
    pub cluster: String,
    /// URL of the door.
    pub server: String,
    /// Kubeconfig for the machine.
    pub kubeconfig: std::path::PathBuf,
    /// Processes on the machine itself.
    pub processes: Vec<ProcessStatus>,
    /// Its nodes.
    pub nodes: Vec<NodeStatus>,
}

/// A node as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: std::net::Ipv4Addr,
    /// Frozen by `node pause`.
    pub paused: bool,
    /// Its processes.
    pub processes: Vec<ProcessStatus>,
}

/// A process as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessStatus {
    /// What it is called in its node.
    pub name: String,
    /// Its pid on the machine; absent when it died.
    pub pid: Option<u32>,
}

impl Status {
    /// Names of processes that were started and do not run.
    pub fn dead(&self) -> Vec<String> {
        let of_nodes = self
            .nodes
            .iter()
            .flat_map(|n| n.processes.iter().map(move |p| (format!("{}/", n.name), p)));
        let all = self
            .processes
            .iter()
            .map(|p| (String::new(), p))
            .chain(of_nodes);
        all.filter(|(_, p)| p.pid.is_none())
            .map(|(node, p)| format!("{node}{}", p.name))
            .collect()
    }
}

impl Cluster {
    /// Looks at every recorded process.
    pub fn status(&self) -> Result<Status, Error> {
        let state = self.state()?;
        let plan = state.addressing();
        let of = |prefix: &str| -> Vec<ProcessStatus> {
            let named = state.processes.iter().filter_map(|(name, record)| {
                let name = name.strip_prefix(prefix)?;
                (!name.contains('/')).then(|| ProcessStatus {
                    name: name.into(),
                    pid: process::find(record),
                })
            });
            named.collect()
        };
        let nodes = state.nodes.iter().map(|(name, record)| NodeStatus {
            name: name.clone(),
            address: plan.node(record.ordinal),
            paused: record.paused,
            processes: of(&format!("{name}/")),
        });
        Ok(Status {
            cluster: self.name.to_string(),
            server: format!("https://127.0.0.1:{}", plan.door_port()),
            kubeconfig: self.kubeconfig(),
            processes: of(""),
            nodes: nodes.collect(),
        })
    }
}
