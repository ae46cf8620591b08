//! Images that one node has unpacked, kept for the nodes that come after it.
//!
//! Blobs and layers never change once they are there: containers write to layers of their own. So a node's store is a tree of
//! hard links to the kept one, made in a moment and without a second copy on disk or in memory. Only containerd's databases
//! are copied.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{self, run};
use crate::disk;

/// containerd's databases below its root.
const DATABASES: [&str; 2] = [
    "io.containerd.metadata.v1.bolt/meta.db",
    "io.containerd.snapshotter.v1.overlayfs/metadata.db",
];
/// The parts of its root that hold images. The rest belongs to one containerd and its containers.
///
/// The one by which [`Unpacked::is_store`] knows a store comes last.
const PARTS: [&str; 3] = [
    "io.containerd.content.v1.content",
    "io.containerd.snapshotter.v1.overlayfs",
    "io.containerd.metadata.v1.bolt",
];

/// Why the store cannot be kept or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of it.
    #[error("cannot use the unpacked images")]
    Disk(#[from] disk::Error),
    /// Linking it failed.
    #[error("cannot link the unpacked images")]
    Link(#[from] command::Error),
    /// Replacing the old one failed.
    #[error("cannot put {path} in its place")]
    Replace {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// The kept store of a machine.
#[derive(Debug, Clone)]
pub struct Unpacked {
    folder: PathBuf,
}

impl Unpacked {
    /// The store below the folder of all clusters; it must be on the same file system as the nodes.
    pub fn below(state_root: &Path) -> Self {
        Self {
            folder: state_root.join(".unpacked-images"),
        }
    }

    /// Whether a containerd has run with this root.
    pub fn is_store(root: &Path) -> bool {
        root.join(DATABASES[0]).exists()
    }

    /// Fills the empty root of a containerd that never ran. Says whether there was anything to fill it with.
    pub fn fill(&self, root: &Path) -> Result<bool, Error> {
        let _lock = disk::lock(&self.lock())?;
        if Self::is_store(root) || !self.folder.exists() {
            return Ok(false);
        }
        // Beside it first: a store that is cut short must not pass for one, nor write to the kept databases.
        let beside = root.with_extension("new");
        disk::remove_dir(&beside)?;
        link(&self.folder, &beside)?;
        for part in PARTS {
            disk::remove_dir(&root.join(part))?;
            disk::make_dir(root)?;
            fs::rename(beside.join(part), root.join(part)).map_err(|source| Error::Replace {
                path: root.join(part),
                source,
            })?;
        }
        disk::remove_dir(&beside)?;
        Ok(true)
    }

    /// Keeps what is in the root of a containerd that does not run and has no containers.
    pub fn keep(&self, root: &Path) -> Result<(), Error> {
        let _lock = disk::lock(&self.lock())?;
        let fresh = self.folder.with_extension("new");
        disk::remove_dir(&fresh)?;
        link(root, &fresh)?;
        disk::remove_dir(&self.folder)?;
        fs::rename(&fresh, &self.folder).map_err(|source| Error::Replace {
            path: self.folder.clone(),
            source,
        })
    }

    /// Forgets everything; nodes that use it keep their links.
    pub fn remove(&self) -> Result<(), Error> {
        let _lock = disk::lock(&self.lock())?;
        Ok(disk::remove_dir(&self.folder)?)
    }

    fn lock(&self) -> PathBuf {
        self.folder.with_extension("lock")
    }
}

fn link(from: &Path, to: &Path) -> Result<(), Error> {
    disk::make_dir(to)?;
    for part in PARTS {
        run(Command::new("cp")
            .args(["-al", "--"])
            .arg(from.join(part))
            .arg(to))?;
    }
    for database in DATABASES {
        run(Command::new("cp")
            .args(["-a", "--remove-destination", "--"])
            .arg(from.join(database))
            .arg(to.join(database)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn store(root: &Path, database: &str) {
        for file in DATABASES {
            disk::write(&root.join(file), database).unwrap();
        }
        disk::write(
            &root.join("io.containerd.content.v1.content/blobs/sha256/aa"),
            "blob",
        )
        .unwrap();
    }

    #[test]
    fn a_fresh_node_shares_blobs_and_has_databases_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let unpacked = Unpacked::below(dir.path());
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        store(&first, "one image");
        assert!(!unpacked.fill(&second).unwrap(), "nothing was kept yet");
        unpacked.keep(&first).unwrap();
        assert!(unpacked.fill(&second).unwrap());
        let inode = |root: &Path, file: &str| fs::metadata(root.join(file)).unwrap().ino();
        let blob = "io.containerd.content.v1.content/blobs/sha256/aa";
        assert_eq!(inode(&first, blob), inode(&second, blob));
        assert_ne!(inode(&first, DATABASES[0]), inode(&second, DATABASES[0]));
        assert_eq!(disk::read(&second.join(DATABASES[1])).unwrap(), "one image");
    }

    #[test]
    fn a_node_that_ran_before_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let unpacked = Unpacked::below(dir.path());
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        store(&first, "new");
        store(&second, "its own");
        unpacked.keep(&first).unwrap();
        assert!(!unpacked.fill(&second).unwrap());
        assert_eq!(disk::read(&second.join(DATABASES[0])).unwrap(), "its own");
    }

    #[test]
    fn what_is_kept_later_replaces_what_was_kept_before() {
        let dir = tempfile::tempdir().unwrap();
        let unpacked = Unpacked::below(dir.path());
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        store(&first, "old");
        unpacked.keep(&first).unwrap();
        fs::write(first.join(DATABASES[0]), "new").unwrap();
        unpacked.keep(&first).unwrap();
        unpacked.fill(&second).unwrap();
        assert_eq!(disk::read(&second.join(DATABASES[0])).unwrap(), "new");
    }
}
