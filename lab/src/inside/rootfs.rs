//! A node's own view of files: the machine's root as the lower layer of an overlay, so that whatever a pod writes to a host
//! path stays in the node, and everything a node must have for itself mounted over it.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde::{Deserialize, Serialize};

use super::{Error, file, namespace};
use crate::cgroup::Hierarchy;

/// A folder of the machine that a node sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the machine.
    pub from: PathBuf,
    /// In the node.
    pub to: PathBuf,
    /// The node cannot write to it.
    pub read_only: bool,
}

/// All mounts of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Folder on the machine for the overlay's layers.
    pub layers: PathBuf,
    /// Folders of the machine.
    pub binds: Vec<Bind>,
    /// Folders that are empty in the node, whatever the machine has there.
    pub hidden: Vec<PathBuf>,
    /// Cgroup hierarchies to mount again, in the node's cgroup namespace.
    pub hierarchies: Vec<Hierarchy>,
}

impl Rootfs {
    /// Mounts everything in the calling process's mount namespace and makes it the root.
    pub(super) fn mount(&self) -> Result<(), Error> {
        // Without this, every mount below would appear on the machine, and the unmount at the end would empty it.
        change("/", MsFlags::MS_REC | MsFlags::MS_PRIVATE)?;
        let root = self.layers.join("root");
        self.overlay(&root)?;
        for path in &self.hidden {
            tmpfs(&root, path)?;
        }
        kernel_filesystems(&root)?;
        self.cgroups(&root)?;
        for bind in &self.binds {
            bind_mount(&root, bind)?;
        }
        pivot(&root)?;
        // As on a real node: a mount a pod makes on a Bidirectional path, or containerd under /run/netns, is seen by others.
        change("/", MsFlags::MS_REC | MsFlags::MS_SHARED)
    }

    fn overlay(&self, root: &Path) -> Result<(), Error> {
        let (upper, work) = (self.layers.join("upper"), self.layers.join("work"));
        for folder in [&upper, &work, &root.to_owned()] {
            fs::create_dir_all(folder).map_err(file(folder))?;
        }
        let data = format!(
            "lowerdir=/,upperdir={},workdir={}",
            upper.display(),
            work.display()
        );
        attach(
            "overlay",
            root,
            Some("overlay"),
            MsFlags::empty(),
            Some(&data),
        )
    }

    fn cgroups(&self, root: &Path) -> Result<(), Error> {
        let base = Path::new("/sys/fs/cgroup");
        let unified = self.hierarchies.iter().any(|h| h.path == base);
        if !unified {
            tmpfs(root, base)?;
        }
        for hierarchy in &self.hierarchies {
            let on = within(root, &hierarchy.path);
            fs::create_dir_all(&on).map_err(file(&on))?;
            let kind = if hierarchy.v1_data.is_some() {
                "cgroup"
            } else {
                "cgroup2"
            };
            attach(kind, &on, Some(kind), safe(), hierarchy.v1_data.as_deref())?;
        }
        Ok(())
    }
}

fn kernel_filesystems(root: &Path) -> Result<(), Error> {
    let none = MsFlags::empty();
    let shared_memory = Some("mode=1777");
    let table: [(&str, &str, MsFlags, Option<&str>); 8] = [
        ("proc", "/proc", safe(), None),
        ("sysfs", "/sys", safe(), None),
        ("bpf", "/sys/fs/bpf", safe(), Some("mode=700")),
        ("devtmpfs", "/dev", none, None),
        (
            "devpts",
            "/dev/pts",
            none,
            Some("newinstance,ptmxmode=0666,mode=0620,gid=5"),
        ),
        ("tmpfs", "/dev/shm", none, shared_memory),
        ("tmpfs", "/tmp", none, shared_memory),
        ("tmpfs", "/run", none, Some("mode=755")),
    ];
    for (kind, path, flags, data) in table {
        let on = within(root, Path::new(path));
        fs::create_dir_all(&on).map_err(file(&on))?;
        attach(kind, &on, Some(kind), flags, data)?;
    }
    for folder in ["/run/netns", "/run/cilium", "/run/lock"] {
        let path = within(root, Path::new(folder));
        fs::create_dir_all(&path).map_err(file(&path))?;
    }
    Ok(())
}

fn bind_mount(root: &Path, bind: &Bind) -> Result<(), Error> {
    let on = within(root, &bind.to);
    for folder in [&bind.from, &on] {
        fs::create_dir_all(folder).map_err(file(folder))?;
    }
    attach(
        &bind.from.display().to_string(),
        &on,
        None,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None,
    )?;
    if bind.read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        attach("read-only", &on, None, flags, None)?;
    }
    Ok(())
}

/// Swaps the root. The old one, with the copies of all the machine's mounts, is let go of: a copy kept would keep alive what
/// the machine unmounts later, such as the network namespace of a cluster that is taken down.
fn pivot(root: &Path) -> Result<(), Error> {
    let old = root.join("tmp/machine");
    fs::create_dir_all(&old).map_err(file(&old))?;
    nix::unistd::pivot_root(root, &old).map_err(namespace("make the node's root the root"))?;
    nix::unistd::chdir("/").map_err(namespace("enter the new root"))?;
    umount2("/tmp/machine", MntFlags::MNT_DETACH)
        .map_err(namespace("let go of the machine's mounts"))?;
    fs::remove_dir("/tmp/machine").map_err(file("/tmp/machine"))
}

fn tmpfs(root: &Path, path: &Path) -> Result<(), Error> {
    let on = within(root, path);
    fs::create_dir_all(&on).map_err(file(&on))?;
    attach(
        "tmpfs",
        &on,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=755"),
    )
}

fn safe() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC
}

fn within(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn change(path: &str, flags: MsFlags) -> Result<(), Error> {
    attach("propagation", Path::new(path), None, flags, None)
}

fn attach(
    what: &str,
    on: &Path,
    kind: Option<&str>,
    flags: MsFlags,
    data: Option<&str>,
) -> Result<(), Error> {
    mount(Some(what), on, kind, flags, data).map_err(|source| Error::Mount {
        what: what.to_owned(),
        on: on.to_owned(),
        source,
    })
}
