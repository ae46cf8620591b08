//! The machine's one limit a lab outgrows: every kubelet and containerd holds dozens of inotify instances, and kernels allow
//! 128 for a user. It is raised while clusters exist and set back by the last one.

use std::path::{Path, PathBuf};

use crate::disk;

const INSTANCES: &str = "/proc/sys/fs/inotify/max_user_instances";
const ENOUGH: u32 = 8192;

/// Raises the limit, unless it is high enough. Says whether it was raised.
pub fn raise(state_root: &Path) -> Result<bool, disk::Error> {
    let now = disk::read(Path::new(INSTANCES))?;
    if now.trim().parse::<u32>().is_ok_and(|limit| limit >= ENOUGH) {
        return Ok(false);
    }
    let before = remembered(state_root);
    // A value remembered by an earlier cluster is the machine's own; what is set now may be ours.
    if !before.exists() {
        disk::write(&before, &now)?;
    }
    set(&ENOUGH.to_string())?;
    Ok(true)
}

/// Sets the limit back to what it was before the first cluster.
pub fn restore(state_root: &Path) -> Result<(), disk::Error> {
    let before = remembered(state_root);
    if before.exists() {
        set(&disk::read(&before)?)?;
        std::fs::remove_file(&before).map_err(|source| disk::Error::Remove {
            path: before,
            source,
        })?;
    }
    Ok(())
}

fn remembered(state_root: &Path) -> PathBuf {
    state_root.join(".inotify-instances-before")
}

/// In place: a file of /proc cannot be replaced by renaming.
fn set(value: &str) -> Result<(), disk::Error> {
    std::fs::write(INSTANCES, value.trim()).map_err(|source| disk::Error::Write {
        path: INSTANCES.into(),
        source,
    })
}
