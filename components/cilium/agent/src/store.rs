//! What survives a restart of the agent: one file per endpoint, one for the node, and one of policies per namespace with pods here,
//! in the state folder.
//!
//! A file is written beside, synced and renamed: a reader finds the old one or the new one, also after a power cut.
//! After a reboot of the node the folder is empty (it lies on a tmpfs), as are the bpffs and the pods.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cilium_cni::runtime;
use ipnet::Ipv4Net;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::endpoint::Endpoint;

/// A predecessor whose pod was deleted without grace may still be ending.
const PREDECESSOR: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot write {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot remove {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "another agent runs on this node: it holds {path}; two would undo each other's work, so end the one that is not the \
         DaemonSet's"
    )]
    Held { path: PathBuf },
    #[error("cannot lock {path}")]
    Lock {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What the node was last time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NodeState {
    pub ip: Ipv4Addr,
    pub pod_cidrs: Vec<Ipv4Net>,
    pub router: Ipv4Addr,
}

#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    /// The kernel takes the lock back with the last clone, also of a process that was killed.
    _lock: Arc<File>,
}

/// What was found, and the sentences about what could not be used.
#[derive(Debug, Default)]
pub struct Found {
    pub endpoints: Vec<Endpoint>,
    pub problems: Vec<String>,
}

impl Store {
    /// Makes the folder if it is missing. It is this process's until the last clone is dropped.
    ///
    /// # Errors
    /// [`StoreError::Held`] while another process has it.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        for path in [folder.join("endpoints"), folder.join("policies")] {
            if let Err(source) = fs::create_dir_all(&path) {
                return Err(StoreError::Write { path, source });
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: Arc::new(lock(folder.join(runtime::LOCK))?),
        })
    }

    /// As [`Self::open`], once a predecessor that is ending has let go.
    pub async fn claim(folder: &Path) -> Result<Self, StoreError> {
        let end = Instant::now() + PREDECESSOR;
        loop {
            match Self::open(folder) {
                Err(StoreError::Held { .. }) if Instant::now() < end => {
                    tokio::time::sleep(PAUSE).await;
                }
                opened => return opened,
            }
        }
    }

    /// `None` on a node that never had one; an unreadable file counts as none.
    pub fn node(&self) -> Option<NodeState> {
        read(&self.folder.join("node.json")).ok()
    }

    pub fn write_node(&self, node: &NodeState) -> Result<(), StoreError> {
        write(&self.folder.join("node.json"), node)
    }

    /// For tools; nothing reads it back.
    pub fn write_runtime_config(&self, settings: &impl Serialize) -> Result<(), StoreError> {
        write(&self.folder.join("agent-runtime-config.json"), settings)
    }

    /// Numbers of the prefixes that policies name; none on a node that never had any, or whose file cannot be read.
    pub fn prefixes(&self) -> BTreeMap<Ipv4Net, u32> {
        read(&self.folder.join("prefixes.json")).unwrap_or_default()
    }

    pub fn write_prefixes(&self, prefixes: &BTreeMap<Ipv4Net, u32>) -> Result<(), StoreError> {
        write(&self.folder.join("prefixes.json"), prefixes)
    }

    /// What was written of policies, by namespace, and sentences about what cannot be decoded.
    pub fn policies<T: DeserializeOwned>(
        &self,
    ) -> Result<(BTreeMap<String, T>, Vec<String>), StoreError> {
        read_all(&self.folder.join("policies"))
    }

    pub fn write_policies(
        &self,
        namespace: &str,
        policies: &impl Serialize,
    ) -> Result<(), StoreError> {
        write(&self.policies_of(namespace), policies)
    }

    pub fn remove_policies(&self, namespace: &str) -> Result<(), StoreError> {
        remove(self.policies_of(namespace))
    }

    /// Durable when it returns.
    pub fn write_endpoint(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        write(&self.path(endpoint.id), endpoint)
    }

    /// An endpoint that is not there is removed.
    pub fn remove_endpoint(&self, id: u16) -> Result<(), StoreError> {
        remove(self.path(id))
    }

    /// Every endpoint written. A file that cannot be decoded is told about and left for a person to look at.
    pub fn load(&self) -> Result<Found, StoreError> {
        let (endpoints, problems) = read_all::<Endpoint>(&self.endpoints())?;
        let mut found = Found {
            endpoints: endpoints.into_values().collect(),
            problems: problems
                .iter()
                .map(|problem| format!("endpoint state {problem}"))
                .collect(),
        };
        found.endpoints.sort_by_key(|endpoint| endpoint.id);
        Ok(found)
    }

    fn endpoints(&self) -> PathBuf {
        self.folder.join("endpoints")
    }

    fn policies_of(&self, namespace: &str) -> PathBuf {
        self.folder
            .join("policies")
            .join(format!("{namespace}.json"))
    }

    fn path(&self, id: u16) -> PathBuf {
        self.endpoints().join(format!("{id}.json"))
    }
}

fn lock(path: PathBuf) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    let file = match options.create(true).truncate(false).write(true).open(&path) {
        Ok(file) => file,
        Err(source) => return Err(StoreError::Lock { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Held { path }),
        Err(TryLockError::Error(source)) => Err(StoreError::Lock { path, source }),
    }
}

/// What is not there is removed.
fn remove(path: PathBuf) -> Result<(), StoreError> {
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::Remove { path, source })
        }
        _ => Ok(()),
    }
}

/// What the files of a folder say, by their names, and sentences about those that cannot be decoded: they are left for a person to
/// look at.
fn read_all<T: DeserializeOwned>(
    folder: &Path,
) -> Result<(BTreeMap<String, T>, Vec<String>), StoreError> {
    let failed = |source| StoreError::Read {
        path: folder.to_owned(),
        source,
    };
    let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            // A write that was cut off.
            let _ = fs::remove_file(&path);
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        match read(&path) {
            Ok(object) => drop(found.insert(name.into_owned(), object)),
            Err(error) => problems.push(format!("{} is skipped: {error}", path.display())),
        }
    }
    Ok((found, problems))
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn write(path: &Path, value: &impl Serialize) -> Result<(), StoreError> {
    let beside = path.with_extension("next");
    let work = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec_pretty(value)?)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        path.parent()
            .map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    work().map_err(|source| StoreError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use cilium_api::{EndpointState, NumericIdentity};

    use super::*;
    use crate::endpoint::AttachmentKey;

    fn endpoint(id: u16) -> Endpoint {
        Endpoint {
            id,
            attachment: AttachmentKey {
                container_id: "abc".to_owned(),
                ifname: "eth0".to_owned(),
            },
            pod: None,
            ip: Ipv4Addr::new(10, 244, 1, 9),
            mac: datapath::Mac([2, 0, 0, 0, 0, 1]),
            host_mac: datapath::Mac([2, 0, 0, 0, 0, 2]),
            ifindex: 7,
            interface: "lxc1".to_owned(),
            identity: NumericIdentity(300),
            labels: vec!["k8s:app=web".to_owned()],
            policy: 4,
            state: EndpointState::Ready,
        }
    }

    #[test]
    fn endpoints_and_node_come_back_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let node = NodeState {
            ip: Ipv4Addr::new(172, 30, 0, 11),
            pod_cidrs: vec!["10.244.1.0/24".parse().unwrap()],
            router: Ipv4Addr::new(10, 244, 1, 1),
        };
        assert_eq!(store.node(), None);
        store.write_node(&node).unwrap();
        store.write_endpoint(&endpoint(2)).unwrap();
        store.write_endpoint(&endpoint(1)).unwrap();
        store.remove_endpoint(2).unwrap();
        store.remove_endpoint(2).unwrap();
        drop(store);
        let again = Store::open(folder.path()).unwrap();
        assert_eq!(again.node(), Some(node));
        let prefixes = BTreeMap::from([("10.0.0.0/8".parse().unwrap(), 3)]);
        assert!(again.prefixes().is_empty());
        again.write_prefixes(&prefixes).unwrap();
        assert_eq!(again.prefixes(), prefixes);
        assert_eq!(again.load().unwrap().endpoints, [endpoint(1)]);
    }

    #[test]
    fn two_agents_do_not_share_a_folder_and_the_second_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = Store::open(folder.path()).unwrap();
        let clone = first.clone();
        drop(first);
        let refused = Store::open(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("another agent runs"), "{refused}");
        assert!(refused.contains("lockfile"), "{refused}");
        drop(clone);
        assert!(Store::open(folder.path()).is_ok());
    }

    #[tokio::test]
    async fn a_successor_waits_for_an_agent_that_is_ending() {
        let folder = tempfile::tempdir().unwrap();
        let ending = Store::open(folder.path()).unwrap();
        let claim = Store::claim(folder.path());
        let end = async move {
            tokio::time::sleep(PAUSE * 3).await;
            drop(ending);
        };
        let (claimed, ()) = tokio::join!(claim, end);
        claimed.unwrap();
    }

    #[test]
    fn a_half_written_file_costs_only_its_own_endpoint_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write_endpoint(&endpoint(1)).unwrap();
        fs::write(folder.path().join("endpoints/2.json"), b"{\"id\":").unwrap();
        fs::write(folder.path().join("endpoints/3.next"), b"{").unwrap();
        let found = store.load().unwrap();
        assert_eq!(found.endpoints, [endpoint(1)]);
        assert_eq!(found.problems.len(), 1);
        assert!(found.problems[0].contains("2.json"), "{:?}", found.problems);
        assert!(!folder.path().join("endpoints/3.next").exists());
    }
}
