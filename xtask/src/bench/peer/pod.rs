//! Becoming a process of the pod whose network namespace this one is in.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Services are translated for processes of a pod's cgroup; whoever is only in its network namespace sends to the Service itself.
pub fn join() -> Result<()> {
    let mine = fs::metadata("/proc/self/ns/net").context("find the own namespace")?;
    let myself = std::process::id().to_string();
    for process in fs::read_dir("/proc").context("list processes")? {
        let process = process.context("list processes")?.path();
        // A process may end while it is looked at.
        let Ok(namespace) = fs::metadata(process.join("ns/net")) else {
            continue;
        };
        if namespace.ino() != mine.ino() {
            continue;
        }
        let Some(cgroup) = cgroup_of(&process) else {
            continue;
        };
        if cgroup.contains("kubepods") {
            let members = cgroups()?.join(cgroup).join("cgroup.procs");
            return fs::write(&members, myself)
                .with_context(|| format!("write to {}", members.display()));
        }
    }
    anyhow::bail!("no process of the pod was found in this namespace")
}

/// Where the one hierarchy of cgroup v2 is.
fn cgroups() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").context("read the mounts")?;
    let mut fields = mounts.lines().map(|line| line.split(' '));
    let of = fields.find_map(|mut fields| {
        let place = fields.nth(1)?;
        (fields.next()? == "cgroup2").then(|| PathBuf::from(place))
    });
    of.context("no cgroup v2 is mounted")
}

/// In that hierarchy.
fn cgroup_of(process: &Path) -> Option<String> {
    let text = fs::read_to_string(process.join("cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(path.to_owned())
}
