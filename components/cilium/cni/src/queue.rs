//! The deletion queue: what DEL leaves for an agent that is down.
//!
//! Writer and reader take one lock. The agent holds it from before it listens until the queue is empty, and DEL looks
//! for the agent again once it has the lock: so a request is either answered or found, never lost between the two.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::verb::hex;

/// Upstream's folder, so that a node that changes plugins keeps one queue.
pub const DEFAULT_FOLDER: &str = "/var/run/cilium/deleteQueue";
/// More than a node's pods; beyond it something other than an agent restart is wrong.
const ENTRIES_MAX: usize = 1024;
const LOCK_PAUSE: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Deletion {
    pub container_id: String,
    pub container_interface_name: String,
}

/// The queue with its lock held; dropping it gives the lock back.
#[derive(Debug)]
pub struct Queue {
    folder: PathBuf,
    _lock: File,
}

impl Queue {
    /// # Errors
    /// `TimedOut` when another process holds the lock for longer than `patience`.
    pub fn lock(folder: &Path, patience: Duration) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join("lockfile"))?;
        let end = Instant::now() + patience;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < end => {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::TimedOut.into()),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(Self {
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Durable when it returns. The same deletion twice is one entry.
    ///
    /// # Errors
    /// `StorageFull` when the queue has its limit of entries.
    pub fn push(&self, deletion: &Deletion) -> io::Result<()> {
        if self.paths()?.len() >= ENTRIES_MAX {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let name = Sha256::new_with_prefix(&deletion.container_id)
            .chain_update([0])
            .chain_update(&deletion.container_interface_name)
            .finalize();
        let name = hex(&name[..16]);
        let mut file = File::create(self.folder.join(format!("{name}.delete")))?;
        file.write_all(&serde_json::to_vec(deletion)?)?;
        file.sync_all()
    }

    /// Every readable entry, with the file to remove once it is done. A torn file cannot be acted on and is removed.
    pub fn entries(&self) -> io::Result<Vec<(PathBuf, Deletion)>> {
        let mut entries = Vec::new();
        for path in self.paths()? {
            match serde_json::from_slice(&fs::read(&path)?) {
                Ok(deletion) => entries.push((path, deletion)),
                Err(_) => fs::remove_file(&path)?,
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn paths(&self) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "delete")
            {
                paths.push(path);
            }
        }
        Ok(paths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deletion(id: &str) -> Deletion {
        Deletion {
            container_id: id.to_owned(),
            container_interface_name: "eth0".to_owned(),
        }
    }

    const PATIENCE: Duration = Duration::from_millis(60);

    #[test]
    fn what_is_pushed_is_found_once_and_gone_when_its_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::lock(folder.path(), PATIENCE).unwrap();
        for id in ["a", "b", "a"] {
            queue.push(&deletion(id)).unwrap();
        }
        let entries = queue.entries().unwrap();
        let mut found: Vec<_> = entries.iter().map(|(_, d)| d.clone()).collect();
        found.sort();
        assert_eq!(found, [deletion("a"), deletion("b")]);
        fs::remove_file(&entries[0].0).unwrap();
        assert_eq!(queue.entries().unwrap().len(), 1);
    }

    #[test]
    fn a_second_holder_waits_and_then_gives_up() {
        let folder = tempfile::tempdir().unwrap();
        let first = Queue::lock(folder.path(), PATIENCE).unwrap();
        let second = Queue::lock(folder.path(), PATIENCE).unwrap_err();
        assert_eq!(second.kind(), io::ErrorKind::TimedOut);
        drop(first);
        Queue::lock(folder.path(), PATIENCE).unwrap();
    }

    #[test]
    fn a_torn_entry_is_thrown_away_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::lock(folder.path(), PATIENCE).unwrap();
        queue.push(&deletion("a")).unwrap();
        fs::write(folder.path().join("torn.delete"), b"{\"container-id\":").unwrap();
        assert_eq!(queue.entries().unwrap().len(), 1);
        assert!(!folder.path().join("torn.delete").exists());
    }

    #[test]
    fn a_full_queue_is_an_error_the_runtime_sees() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::lock(folder.path(), PATIENCE).unwrap();
        for n in 0..ENTRIES_MAX {
            fs::write(folder.path().join(format!("{n}.delete")), b"{}").unwrap();
        }
        let error = queue.push(&deletion("one-more")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
