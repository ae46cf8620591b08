//! Images into nodes, and anything into all nodes at once.

use std::path::{Path, PathBuf};
use std::thread::ScopedJoinHandle;

use super::up::timed;
use super::{Cluster, Error, Node, Report};
use crate::layout::state_root;
use crate::unpacked::Unpacked;
use crate::{disk, images};

impl Cluster {
    /// Imports archives into every node. They must lie under `$GLOONET_HOME`, which the nodes can read; others are
    /// copied there for the time of the import.
    pub fn load(&self, archives: &[PathBuf], report: Report<'_>) -> Result<(), Error> {
        for archive in archives {
            let (path, temporary) = self.readable_by_nodes(archive)?;
            let what = format!("{} loaded", archive.display());
            let loaded = timed(report, &what, || {
                self.each_node(|node| node.import(&path).map(|()| true))
            });
            if temporary {
                let _ = std::fs::remove_file(&path);
            }
            loaded?;
        }
        Ok(())
    }

    /// Imports the images of `$GLOONET_HOME/images` that a node does not have. Returns whether there were any.
    pub fn load_all(&self, report: Report<'_>) -> Result<bool, Error> {
        let images = images::list(&self.home().images())?;
        timed(report, "images", || {
            self.each_node(|node| node.ensure_images(&images))
        })
    }

    fn readable_by_nodes(&self, archive: &Path) -> Result<(PathBuf, bool), Error> {
        let unread = |source| disk::Error::Read {
            path: archive.to_owned(),
            source,
        };
        let real = archive.canonicalize().map_err(unread)?;
        if real.starts_with(self.home().path()) {
            return Ok((real, false));
        }
        let copy = self
            .home()
            .path()
            .join(format!("load-{}.tar", std::process::id()));
        std::fs::copy(&real, &copy).map_err(unread)?;
        Ok((copy, true))
    }

    /// Removes the unpacked images that are kept for new nodes of any cluster.
    pub fn forget_unpacked() -> Result<(), Error> {
        Ok(Unpacked::below(&state_root()).remove()?)
    }

    /// Does the same to all nodes at once. Says whether any of them changed.
    pub(super) fn each_node(
        &self,
        work: impl Fn(&Node<'_>) -> Result<bool, Error> + Sync,
    ) -> Result<bool, Error> {
        let nodes = self.nodes()?;
        let results: Vec<Result<bool, Error>> = std::thread::scope(|scope| {
            let threads: Vec<_> = nodes
                .iter()
                .map(|node| scope.spawn(|| work(node)))
                .collect();
            threads.into_iter().map(join).collect()
        });
        results
            .into_iter()
            .try_fold(false, |changed, result| Ok(changed | result?))
    }
}

/// The thread's result; its panic goes on in this one.
pub(super) fn join<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
