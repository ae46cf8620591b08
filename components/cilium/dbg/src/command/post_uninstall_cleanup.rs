//! `cilium-dbg post-uninstall-cleanup`: takes off a node what its last agent left there, so that pods kept their network.
//!
//! The only command that asks no agent: there must be none.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cilium_cni::installed::{Installed, installed};
use cilium_cni::runtime;
use datapath::{Remnant, remnants};

use crate::Error;
use crate::agent::Agent;

/// The defaults are those of the agent's pod.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Remove it. Without this, nothing is removed and what would be is listed
    #[arg(short, long)]
    force: bool,
    /// Mount point of the node's bpffs
    #[arg(long, default_value = "/sys/fs/bpf")]
    bpf_root: PathBuf,
    /// The node's folder of the agent's socket and state
    #[arg(long, default_value = runtime::FOLDER)]
    runtime_dir: PathBuf,
    /// The node's folder of CNI configuration
    #[arg(long, default_value = "/host/etc/cni/net.d")]
    cni_conf_dir: PathBuf,
    /// The node's folder of CNI programs
    #[arg(long, default_value = "/host/opt/cni/bin")]
    cni_bin_dir: PathBuf,
}

/// One thing to remove.
#[derive(Debug)]
enum Leftover {
    Kernel(Remnant),
    Path(PathBuf),
}

pub async fn run(arguments: &Arguments, agent: &Agent, out: &mut dyn Write) -> Result<(), Error> {
    arguments.require_folders()?;
    let there = arguments.runtime_dir.join(runtime::SOCKET);
    let there = Agent::new(&there.to_string_lossy())?;
    for agent in [agent, &there] {
        if agent.listens().await? {
            return Err(Error::AgentRuns(agent.to_string()));
        }
    }
    // No agent begins on what is being taken away, as long as the file is there that it would lock.
    let lock = lock(arguments.runtime_dir.join(runtime::STATE))?;
    let (bin_dir, conf_dir) = (&arguments.cni_bin_dir, &arguments.cni_conf_dir);
    let plugin = installed(bin_dir, conf_dir).map_err(Error::Installed)?;
    let leftovers = leftovers(arguments, &plugin, lock.is_some())?;
    for leftover in &leftovers {
        if arguments.force {
            leftover.remove()?;
            writeln!(out, "removed {leftover}")?;
        } else {
            writeln!(out, "would remove {leftover}")?;
        }
    }
    for path in &plugin.displaced {
        let path = path.display();
        writeln!(
            out,
            "left {path}: another plugin's configuration, renamed when ours came; rename it back if that plugin is to serve again"
        )?;
    }
    match (leftovers.len(), arguments.force) {
        (0, _) => Ok(writeln!(out, "nothing of ours is on this node")?),
        (_, true) => Ok(()),
        (found, false) => Err(Error::NotForced(found)),
    }
}

impl Arguments {
    /// In a pod that does not mount them, nothing would be found and nothing said of it.
    fn require_folders(&self) -> Result<(), Error> {
        let folders = [
            ("--bpf-root", &self.bpf_root),
            ("--runtime-dir", &self.runtime_dir),
            ("--cni-conf-dir", &self.cni_conf_dir),
            ("--cni-bin-dir", &self.cni_bin_dir),
        ];
        match folders.into_iter().find(|(_, folder)| !folder.is_dir()) {
            Some((option, folder)) => Err(Error::NoFolder {
                folder: folder.clone(),
                option,
            }),
            None => Ok(()),
        }
    }
}

/// `None` on a node without the folder.
fn lock(state: PathBuf) -> Result<Option<File>, Error> {
    let path = state.join(runtime::LOCK);
    let opened = OpenOptions::new().write(true).open(&path);
    let failed = |source| Error::Lock {
        path: path.clone(),
        source,
    };
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::AgentRuns(path.display().to_string())),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// The runtime's way to the plugin first, the state last: until it is gone, no agent begins. Cilium's own agent has a folder and
/// sockets of the same names; only ours has the file that was locked.
fn leftovers(
    arguments: &Arguments,
    plugin: &Installed,
    our_state: bool,
) -> Result<Vec<Leftover>, Error> {
    let kernel = remnants(&arguments.bpf_root).map_err(Error::Datapath)?;
    let files = [
        runtime::SOCKET,
        runtime::HUBBLE_SOCKET,
        runtime::INSTALL_REPORT,
        runtime::QUEUE,
        runtime::STATE,
    ];
    let files = files.into_iter();
    let files = files.filter(|name| our_state || *name == runtime::INSTALL_REPORT);
    let files = files.map(|name| arguments.runtime_dir.join(name));
    let files = files.filter(|path| path.exists());
    let ours = plugin.ours.iter().cloned().map(Leftover::Path);
    Ok(ours
        .chain(kernel.into_iter().map(Leftover::Kernel))
        .chain(files.map(Leftover::Path))
        .collect())
}

impl Leftover {
    fn remove(&self) -> Result<(), Error> {
        match self {
            Self::Kernel(remnant) => remnant.remove().map_err(Error::Datapath),
            Self::Path(path) => remove(path),
        }
    }
}

/// With everything in it.
fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|source| Error::Remove {
        path: path.to_owned(),
        source,
    })
}

impl fmt::Display for Leftover {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(remnant) => remnant.fmt(out),
            Self::Path(path) => path.display().fmt(out),
        }
    }
}
