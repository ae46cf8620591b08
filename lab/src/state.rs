//! What the lab made, written down before it is made, so that `down` finds all of it after any crash.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::addressing::{Addressing, ClusterName, Ordinal};
use crate::disk;
use crate::layout::ClusterDir;

const FORMAT: u32 = 1;

/// Why the state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading, writing or locking failed.
    #[error("the lab's record of cluster {cluster} cannot be kept")]
    Disk {
        cluster: String,
        #[source]
        source: disk::Error,
    },
    /// The file is not what this program writes.
    #[error("{path} is not a state file of this gloonet-lab")]
    Parse {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    /// An older or newer program wrote it.
    #[error(
        "{path} has format {found}, this gloonet-lab reads format {FORMAT}; run `down` with the program that wrote it"
    )]
    Format { path: PathBuf, found: u32 },
    /// Nobody ran `up`.
    #[error("there is no lab cluster {0}; start it with `gloonet-lab up --cluster {0}`")]
    Missing(String),
}

/// Which CNI plugin `up` puts on the nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Cni {
    /// None: nodes stay NotReady until something in the cluster brings one.
    #[default]
    None,
    /// `bridge` and `host-local` of the CNI project, with static routes between nodes.
    Reference,
}

/// A process by what cannot be reused: pid together with its start time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// File name of the program, to tell it from children that inherit its environment.
    pub program: String,
    /// Value of `GLOONET_LAB_OWNER` in its environment; unique to this cluster and process.
    pub marker: String,
    /// Pid on the machine; absent between the decision to start it and its start.
    pub pid: Option<u32>,
    /// Start time in clock ticks since boot (field 22 of `/proc/PID/stat`).
    pub started: Option<u64>,
}

/// A node as the lab keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its place, from which address and names follow.
    pub ordinal: Ordinal,
    /// Frozen by `node pause`.
    #[serde(default)]
    pub paused: bool,
}

/// Everything of one cluster that outlives the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    format: u32,
    /// Random; no other cluster, past or present, has it.
    pub id: String,
    /// The cluster.
    pub cluster: ClusterName,
    /// Machine-wide number, from which all addresses follow.
    pub index: u8,
    /// The CNI the nodes were set up with.
    pub cni: Cni,
    /// Nodes by name.
    #[serde(default)]
    pub nodes: BTreeMap<String, NodeRecord>,
    /// Processes by name: `NODE/PROGRAM`, or the bare name of a process on the machine itself.
    #[serde(default)]
    pub processes: BTreeMap<String, ProcessRecord>,
    /// Pinned network namespaces by name.
    #[serde(default)]
    pub namespaces: BTreeSet<String>,
    /// Cgroup folders, parents before children.
    #[serde(default)]
    pub cgroups: BTreeSet<PathBuf>,
    /// `/run/netns` was no mount before this cluster came.
    #[serde(default)]
    pub made_netns_mount: bool,
    /// A second API server is wanted.
    #[serde(default)]
    pub second_api: bool,
    /// The fault proxy stands before the API server.
    #[serde(default)]
    pub faults: bool,
}

impl State {
    /// The record of a cluster of which nothing was made yet.
    pub fn new(id: String, cluster: ClusterName, index: u8, cni: Cni) -> Self {
        Self {
            format: FORMAT,
            id,
            cluster,
            index,
            cni,
            nodes: BTreeMap::new(),
            processes: BTreeMap::new(),
            namespaces: BTreeSet::new(),
            cgroups: BTreeSet::new(),
            made_netns_mount: false,
            second_api: false,
            faults: false,
        }
    }

    /// The address plan.
    pub fn addressing(&self) -> Addressing {
        Addressing::new(self.cluster.clone(), self.index)
    }

    /// The marker a process of this cluster carries in its environment.
    pub fn marker(&self, process: &str) -> String {
        format!("{}/{process}", self.id)
    }
}

/// The state file of one cluster. Holds nothing in memory: every call reads the file, so several programs may use one cluster.
#[derive(Debug, Clone)]
pub struct Store {
    dir: ClusterDir,
    cluster: ClusterName,
}

impl Store {
    /// The store of `cluster`, whether or not it exists.
    pub fn of(cluster: &ClusterName) -> Self {
        Self {
            dir: ClusterDir::of(cluster),
            cluster: cluster.clone(),
        }
    }

    #[cfg(test)]
    fn at(dir: ClusterDir, cluster: ClusterName) -> Self {
        Self { dir, cluster }
    }

    /// The cluster's folder.
    pub fn dir(&self) -> &ClusterDir {
        &self.dir
    }

    /// Whether anything of the cluster may exist.
    pub fn exists(&self) -> bool {
        self.dir.state().exists()
    }

    /// Reads the current state.
    pub fn load(&self) -> Result<State, Error> {
        let path = self.dir.state();
        if !path.exists() {
            return Err(Error::Missing(self.cluster.to_string()));
        }
        let text = disk::read(&path).map_err(|e| self.disk(e))?;
        parse(path, &text)
    }

    /// Writes the first state of a cluster.
    pub fn create(&self, state: &State) -> Result<(), Error> {
        self.save(state)
    }

    /// Reads, changes and writes in one step that excludes every other program's.
    pub fn record<R>(&self, change: impl FnOnce(&mut State) -> R) -> Result<R, Error> {
        let _lock = disk::lock(&self.dir.state_lock()).map_err(|e| self.disk(e))?;
        let before = self.load()?;
        let mut state = before.clone();
        let result = change(&mut state);
        if state != before {
            self.save(&state)?;
        }
        Ok(result)
    }

    fn save(&self, state: &State) -> Result<(), Error> {
        let path = self.dir.state();
        let text = serde_json::to_string_pretty(state).map_err(|source| Error::Parse {
            path: path.clone(),
            source,
        })?;
        disk::write(&path, &text).map_err(|e| self.disk(e))
    }

    fn disk(&self, source: disk::Error) -> Error {
        Error::Disk {
            cluster: self.cluster.to_string(),
            source,
        }
    }
}

fn parse(path: PathBuf, text: &str) -> Result<State, Error> {
    #[derive(Deserialize)]
    struct Envelope {
        format: u32,
    }
    let envelope: Envelope = serde_json::from_str(text).map_err(|source| Error::Parse {
        path: path.clone(),
        source,
    })?;
    if envelope.format != FORMAT {
        return Err(Error::Format {
            path,
            found: envelope.format,
        });
    }
    serde_json::from_str(text).map_err(|source| Error::Parse { path, source })
}

/// The clusters of this machine, by the folders that hold a state file.
pub fn clusters() -> Vec<ClusterName> {
    let Ok(entries) = std::fs::read_dir(crate::layout::state_root()) else {
        return Vec::new();
    };
    let mut names: Vec<ClusterName> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok()?.parse().ok())
        .filter(|name| Store::of(name).exists())
        .collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> State {
        State::new("5d3c".into(), "east".parse().unwrap(), 2, Cni::Reference)
    }

    #[test]
    fn what_is_recorded_is_read_back_by_another_program() {
        let folder = tempfile::tempdir().unwrap();
        let dir = ClusterDir::at(folder.path());
        let one = Store::at(dir.clone(), "east".parse().unwrap());
        let other = Store::at(dir, "east".parse().unwrap());
        one.create(&sample()).unwrap();
        one.record(|s| s.namespaces.insert("gnl-east-switch".into()))
            .unwrap();
        other
            .record(|s| s.namespaces.insert("gnl-east-outside".into()))
            .unwrap();
        let names: Vec<_> = one.load().unwrap().namespaces.into_iter().collect();
        assert_eq!(names, ["gnl-east-outside", "gnl-east-switch"]);
    }

    #[test]
    fn a_cluster_nobody_started_is_named_with_the_cure() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(ClusterDir::at(folder.path()), "west".parse().unwrap());
        let text = store.load().unwrap_err().to_string();
        assert!(
            text.contains("west") && text.contains("gloonet-lab up"),
            "{text}"
        );
    }

    #[test]
    fn a_state_file_of_another_format_is_refused_before_its_fields_are_read() {
        let refused = parse("state.json".into(), r#"{"format": 99, "something": "new"}"#);
        assert!(matches!(refused, Err(Error::Format { found: 99, .. })));
    }

    #[test]
    fn half_a_state_file_is_refused() {
        let text = serde_json::to_string(&sample()).unwrap();
        assert!(matches!(
            parse("s".into(), &text[..text.len() / 2]),
            Err(Error::Parse { .. })
        ));
    }
}
