//! What survives a restart of the agent: one file per endpoint, one for the node, and one of policies per namespace with pods here,
//! in the state folder.
//!
//! A file is written beside, synced and renamed: a reader finds the old one or the new one, also after a power cut.
//! After a reboot of the node the folder is empty (it lies on a tmpfs), as are the bpffs and the pods.
//!
//! A file says its version ([`form`]). One that cannot be read is told about and never written over.

mod file;
pub mod form;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cilium_cni::error::chain;
use cilium_cni::runtime;
use ipnet::Ipv4Net;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use self::file::Unread;
use self::form::{Form, Prefixes};
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
    #[error("cannot put {path} aside")]
    Aside {
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
    unread: Arc<Mutex<Troubles>>,
}

/// What could not be read.
#[derive(Debug, Default)]
struct Troubles {
    /// Files that still lie where they were found; the value: a later release wrote it.
    files: BTreeMap<PathBuf, bool>,
    sentences: Vec<String>,
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
            unread: Arc::default(),
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

    /// `None` on a node that never had one, or whose file cannot be read.
    pub fn node(&self) -> Option<NodeState> {
        self.read(&self.folder.join("node.json"))
    }

    pub fn write_node(&self, node: &NodeState) -> Result<(), StoreError> {
        self.write(&self.folder.join("node.json"), node)
    }

    /// For tools; nothing reads it back.
    pub fn write_runtime_config(&self, settings: &impl Serialize) -> Result<(), StoreError> {
        file::write(&self.folder.join("agent-runtime-config.json"), settings)
    }

    /// Numbers of the prefixes that policies name; `None` on a node that never had any, or whose file cannot be read.
    pub fn prefixes(&self) -> Option<BTreeMap<Ipv4Net, u32>> {
        let known: Prefixes = self.read(&self.folder.join("prefixes.json"))?;
        Some(known.prefixes)
    }

    pub fn write_prefixes(&self, prefixes: &BTreeMap<Ipv4Net, u32>) -> Result<(), StoreError> {
        let prefixes = Prefixes {
            prefixes: prefixes.clone(),
        };
        self.write(&self.folder.join("prefixes.json"), &prefixes)
    }

    /// What was written of policies, by namespace.
    pub fn policies<T: Form + DeserializeOwned>(&self) -> BTreeMap<String, T> {
        self.read_all(&self.folder.join("policies"))
    }

    pub fn write_policies(
        &self,
        namespace: &str,
        policies: &(impl Form + Serialize),
    ) -> Result<(), StoreError> {
        self.write(&self.policies_of(namespace), policies)
    }

    pub fn remove_policies(&self, namespace: &str) -> Result<(), StoreError> {
        self.remove(&self.policies_of(namespace))
    }

    /// Durable when it returns, but for an endpoint of which a later release has written more than is known here.
    pub fn write_endpoint(&self, endpoint: &Endpoint) -> Result<(), StoreError> {
        if self.is_of_later_release(endpoint.id) {
            return Ok(());
        }
        self.write(&self.path(endpoint.id), endpoint)
    }

    /// Whether a later release wrote what is known of the endpoint with this number: the number is that pod's until it is removed.
    pub fn is_of_later_release(&self, id: u16) -> bool {
        self.troubles().files.get(&self.path(id)) == Some(&true)
    }

    /// An endpoint that is not there is removed.
    pub fn remove_endpoint(&self, id: u16) -> Result<(), StoreError> {
        self.remove(&self.path(id))
    }

    /// Every endpoint written.
    pub fn load(&self) -> Vec<Endpoint> {
        let all = self.read_all::<Endpoint>(&self.endpoints());
        let mut endpoints: Vec<Endpoint> = all.into_values().collect();
        endpoints.sort_by_key(|endpoint| endpoint.id);
        endpoints
    }

    /// Sentences about what could not be read, so far.
    pub fn unread(&self) -> Vec<String> {
        self.troubles().sentences.clone()
    }

    fn read<T: Form + DeserializeOwned>(&self, path: &Path) -> Option<T> {
        file::read(path).unwrap_or_else(|unread| {
            self.note(&unread);
            None
        })
    }

    fn read_all<T: Form + DeserializeOwned>(&self, folder: &Path) -> BTreeMap<String, T> {
        let (found, unread) = file::read_all(folder);
        for unread in &unread {
            self.note(unread);
        }
        found
    }

    /// In place of what could not be read, which is put aside.
    fn write(&self, path: &Path, state: &(impl Form + Serialize)) -> Result<(), StoreError> {
        if self.troubles().files.contains_key(path) {
            file::put_aside(path)?;
            self.troubles().files.remove(path);
        }
        let envelope = form::envelope(state).map_err(|error| StoreError::Write {
            path: path.to_owned(),
            source: error.into(),
        })?;
        file::write(path, &envelope)
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        file::remove(path)?;
        self.troubles().files.remove(path);
        Ok(())
    }

    fn note(&self, unread: &Unread) {
        let mut troubles = self.troubles();
        let later = matches!(unread, Unread::Later { .. });
        troubles.files.insert(unread.path().to_owned(), later);
        let sentence = chain(unread);
        if !troubles.sentences.contains(&sentence) {
            tracing::warn!("{sentence}");
            troubles.sentences.push(sentence);
        }
    }

    fn troubles(&self) -> MutexGuard<'_, Troubles> {
        self.unread.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests;
