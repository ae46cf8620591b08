//! Cgroups of nodes, in whatever hierarchies the machine has: pure v2, or v1 controllers beside an empty v2 tree.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::addressing::ClusterName;

const FAMILY: &str = "gloonet-lab";

/// What could not be done with a cgroup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The list of mounts could not be read.
    #[error("cannot read /proc/self/mountinfo")]
    Mounts(#[source] std::io::Error),
    /// The machine has no cgroup tree the lab could use.
    #[error("no cgroup hierarchy is mounted under /sys/fs/cgroup")]
    None,
    /// Creating failed.
    #[error("cannot create the cgroup {path}")]
    Create {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A process could not be moved.
    #[error("cannot move a process into the cgroup {path}")]
    Join {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Removing failed, most likely because a process is still in it.
    #[error("cannot remove the cgroup {path}")]
    Remove {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Freezing or thawing failed.
    #[error("cannot freeze or thaw the cgroup {path}")]
    Freeze {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hierarchy {
    /// Where it is mounted, on the machine and in a node alike.
    pub path: PathBuf,
    /// Mount data that gives the same hierarchy again; `None` for cgroup2.
    pub v1_data: Option<String>,
}

/// The machine's hierarchies under `/sys/fs/cgroup`.
pub fn hierarchies() -> Result<Vec<Hierarchy>, Error> {
    let text = fs::read_to_string("/proc/self/mountinfo").map_err(Error::Mounts)?;
    let mut found: Vec<Hierarchy> = text.lines().filter_map(parse_mount).collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    if found.is_empty() {
        Err(Error::None)
    } else {
        Ok(found)
    }
}

fn parse_mount(line: &str) -> Option<Hierarchy> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let path = PathBuf::from(mount.split(' ').nth(4)?);
    if !path.starts_with("/sys/fs/cgroup") {
        return None;
    }
    let mut fields = filesystem.split(' ');
    match fields.next()? {
        "cgroup2" => Some(Hierarchy {
            path,
            v1_data: None,
        }),
        "cgroup" => {
            let known =
                |option: &&str| !matches!(*option, "rw" | "ro" | "xattr" | "clone_children");
            let options: Vec<&str> = fields.nth(1)?.split(',').filter(known).collect();
            let data = options.join(",");
            let named = options.iter().all(|o| o.starts_with("name="));
            Some(Hierarchy {
                path,
                v1_data: Some(if named { format!("none,{data}") } else { data }),
            })
        }
        _ => None,
    }
}

/// The cgroup folders of a node, one per hierarchy.
pub fn of_node(hierarchies: &[Hierarchy], cluster: &ClusterName, node: &str) -> Vec<PathBuf> {
    hierarchies
        .iter()
        .map(|h| h.path.join(FAMILY).join(cluster.as_str()).join(node))
        .collect()
}

/// Folder and parents up to the hierarchy's own root, parents first: what [`create`] may have to make.
pub fn with_parents(path: &Path) -> Vec<PathBuf> {
    let mut chain: Vec<PathBuf> = path
        .ancestors()
        .take_while(|p| p.components().any(|c| c.as_os_str() == FAMILY))
        .map(Path::to_owned)
        .collect();
    chain.reverse();
    chain
}

/// Creates a cgroup and its parents. A v1 cpuset takes no process until it has CPUs and memory nodes, so these are inherited.
pub fn create(path: &Path) -> Result<(), Error> {
    let fail = |source| Error::Create {
        path: path.to_owned(),
        source,
    };
    for part in with_parents(path) {
        fs::create_dir_all(&part).map_err(fail)?;
        let Some(parent) = part.parent() else {
            continue;
        };
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let inherits = parent.join(file).exists()
                && fs::read_to_string(part.join(file)).is_ok_and(|have| have.trim().is_empty());
            if inherits {
                let value = fs::read_to_string(parent.join(file)).map_err(fail)?;
                fs::write(part.join(file), value.trim()).map_err(fail)?;
            }
        }
        if parent.join("cgroup.subtree_control").exists() {
            delegate(parent).map_err(fail)?;
        }
    }
    Ok(())
}

/// Hands every controller of a v2 cgroup on to its children. A tree without controllers (hybrid) has none to hand on.
fn delegate(parent: &Path) -> std::io::Result<()> {
    let controllers = fs::read_to_string(parent.join("cgroup.controllers"))?;
    for controller in controllers.split_whitespace() {
        fs::write(
            parent.join("cgroup.subtree_control"),
            format!("+{controller}"),
        )?;
    }
    Ok(())
}

/// Moves the calling process into the cgroups.
pub fn join(paths: &[PathBuf]) -> Result<(), Error> {
    for path in paths {
        fs::write(path.join("cgroup.procs"), std::process::id().to_string()).map_err(|source| {
            Error::Join {
                path: path.clone(),
                source,
            }
        })?;
    }
    Ok(())
}

/// Where a node's processes live inside its cgroups: a v2 cgroup that hands controllers on may hold no process itself.
pub fn leaves(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut leaves = Vec::with_capacity(paths.len());
    for path in paths {
        let controllers = fs::read_to_string(path.join("cgroup.controllers")).unwrap_or_default();
        if controllers.trim().is_empty() {
            leaves.push(path.clone());
            continue;
        }
        let leaf = path.join("init");
        fs::create_dir_all(&leaf).map_err(|source| Error::Create {
            path: leaf.clone(),
            source,
        })?;
        leaves.push(leaf);
    }
    Ok(leaves)
}

/// Removes the folder all clusters share, once the last of them is gone.
pub fn remove_family(hierarchies: &[Hierarchy]) {
    for hierarchy in hierarchies {
        // Not empty means another cluster lives: its `down` comes here too.
        let _ = fs::remove_dir(hierarchy.path.join(FAMILY));
    }
}

/// The folder of a whole cluster in each hierarchy.
pub fn of_cluster(hierarchies: &[Hierarchy], cluster: &ClusterName) -> Vec<PathBuf> {
    hierarchies
        .iter()
        .map(|h| h.path.join(FAMILY).join(cluster.as_str()))
        .collect()
}

/// Removes a cgroup with everything below it, waiting a few seconds for dying processes to leave.
pub fn remove(path: &Path) -> Result<(), Error> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match remove_tree(path) {
            Ok(()) => return Ok(()),
            Err(source) if Instant::now() > deadline => {
                return Err(Error::Remove {
                    path: path.to_owned(),
                    source,
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn remove_tree(path: &Path) -> std::io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Stops or resumes every process of a node at once.
pub fn freeze(paths: &[PathBuf], frozen: bool) -> Result<(), Error> {
    for path in paths {
        let fail = |source| Error::Freeze {
            path: path.clone(),
            source,
        };
        let v1 = path.join("freezer.state");
        if v1.exists() {
            return fs::write(&v1, if frozen { "FROZEN" } else { "THAWED" }).map_err(fail);
        }
        // The v2 file exists in a hybrid tree too, where the v1 freezer above is the one that counts.
        let v2 = path.join("cgroup.freeze");
        if v2.exists() && paths.len() == 1 {
            return fs::write(&v2, if frozen { "1" } else { "0" }).map_err(fail);
        }
    }
    Err(Error::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_of_a_hybrid_machine_are_told_apart() {
        let v1 =
            "30 29 0:26 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct";
        let named = "38 29 0:34 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd";
        let v2 = "39 29 0:35 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw";
        let data = |line| parse_mount(line).unwrap().v1_data;
        assert_eq!(data(v1).as_deref(), Some("cpu,cpuacct"));
        assert_eq!(data(named).as_deref(), Some("none,name=systemd"));
        assert_eq!(data(v2), None);
        assert_eq!(parse_mount("1 0 0:2 / /proc rw - proc proc rw"), None);
    }

    #[test]
    fn parents_come_before_children_and_the_root_is_not_ours() {
        let chain = with_parents(Path::new(
            "/sys/fs/cgroup/cpu/gloonet-lab/east/east-worker-1",
        ));
        let expected = [
            "gloonet-lab",
            "gloonet-lab/east",
            "gloonet-lab/east/east-worker-1",
        ]
        .map(|p| Path::new("/sys/fs/cgroup/cpu").join(p));
        assert_eq!(chain, expected);
    }
}
