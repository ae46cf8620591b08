//! A node's first process. It owns the node's pid namespace: when it dies, however it dies, the kernel ends every process of
//! the node, pods included, and with them go the node's mounts.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use serde::{Deserialize, Serialize};

use super::enter::{enter_network, open_log, report};
use super::{Error, Rootfs, Spec, namespace};
use crate::cgroup;

/// A node to be brought to life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInit {
    /// Its network namespace, made before.
    pub network: PathBuf,
    /// Its cgroup folders, made before.
    pub cgroups: Vec<PathBuf>,
    /// Where its first process writes errors.
    pub log: PathBuf,
    /// What the first process does.
    pub root: NodeRoot,
}

/// What the first process sets up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRoot {
    /// Host name.
    pub hostname: String,
    /// The node's view of files.
    pub rootfs: Rootfs,
}

const READY: &str = "ready";

/// Prints the first process's pid, then, when the node's files are mounted, `ready`.
pub(super) fn run(spec: &NodeInit) -> Result<ExitCode, Error> {
    nix::unistd::setsid().map_err(namespace("start a session"))?;
    let log = open_log(&spec.log)?;
    enter_network(&spec.network)?;
    // The cgroup namespace's root is where the process is when it is made.
    cgroup::join(&spec.cgroups)?;
    unshare(CloneFlags::CLONE_NEWCGROUP).map_err(namespace("make a cgroup namespace"))?;
    cgroup::join(&cgroup::leaves(&spec.cgroups)?)?;
    let rest = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWPID;
    unshare(rest).map_err(namespace("make mount, host name and pid namespaces"))?;
    let argument =
        serde_json::to_string(&Spec::NodeRoot(Box::new(spec.root.clone()))).map_err(Error::Spec)?;
    let program = std::env::current_exe().map_err(super::file("/proc/self/exe"))?;
    let mut child = Command::new(&program)
        .args(["internal", &argument])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|source| Error::Start {
            program: program.display().to_string(),
            source,
        })?;
    report(child.id())?;
    let Some(out) = child.stdout.take() else {
        return Err(Error::Init("it has no output".into()));
    };
    let mut line = String::new();
    BufReader::new(out)
        .read_line(&mut line)
        .map_err(Error::Report)?;
    if line.trim() != READY {
        return Err(Error::Init(format!("see {}", spec.log.display())));
    }
    report(READY)?;
    Ok(ExitCode::SUCCESS)
}

/// The first process itself: mounts, then reaps whatever is orphaned in the node, for ever.
pub(super) fn run_root(spec: &NodeRoot) -> Result<ExitCode, Error> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    signals.thread_block().map_err(namespace("block SIGCHLD"))?;
    nix::unistd::sethostname(&spec.hostname).map_err(namespace("set the host name"))?;
    spec.rootfs.mount()?;
    report(READY)?;
    loop {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            if status == WaitStatus::StillAlive {
                break;
            }
        }
        signals.wait().map_err(namespace("wait for SIGCHLD"))?;
    }
}
