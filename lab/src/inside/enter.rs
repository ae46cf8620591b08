//! Running a program in a node, or in a bare network namespace.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};

use super::{Error, file, namespace};
use crate::cgroup;

/// Where a program runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// All namespaces and cgroups of a node, by its first process.
    Node {
        /// Pid of the node's first process, on the machine.
        pid: u32,
        /// The node's cgroup folders.
        cgroups: Vec<PathBuf>,
    },
    /// A network namespace only; files are the machine's.
    Network(PathBuf),
}

/// A program to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enter {
    /// Where.
    pub place: Place,
    /// Program and arguments; the path is one inside the node.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// With a log file the program is left running in the background and its pid is printed. Without, it has our
    /// input and output, and its exit code becomes ours.
    pub log: Option<PathBuf>,
}

pub(super) fn run(spec: &Enter) -> Result<ExitCode, Error> {
    // The log is a file of the machine, so it is opened before the mount namespace is entered.
    let log = spec.log.as_deref().map(open_log).transpose()?;
    match &spec.place {
        Place::Node { pid, cgroups } => enter_node(*pid, cgroups)?,
        Place::Network(path) => enter_network(path)?,
    }
    let (program, arguments) = spec
        .argv
        .split_first()
        .ok_or_else(|| Error::Init("no program given".into()))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(spec.env.iter().map(|(k, v)| (k, v)));
    let failed = |source| Error::Start {
        program: program.clone(),
        source,
    };
    let Some(log) = log else {
        return Ok(code(command.status().map_err(failed)?));
    };
    // A session of its own: the terminal's Ctrl-C is not for the cluster.
    nix::unistd::setsid().map_err(namespace("start a session"))?;
    let errors = log.try_clone().map_err(failed)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .map_err(failed)?;
    report(child.id())?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn report(line: impl std::fmt::Display) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(Error::Report)
}

pub(super) fn open_log(path: &Path) -> Result<File, Error> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(file(path))
}

fn enter_node(pid: u32, cgroups: &[PathBuf]) -> Result<(), Error> {
    cgroup::join(&cgroup::leaves(cgroups)?)?;
    // The mount namespace comes last: afterwards /proc is the node's.
    let kinds = [
        ("net", CloneFlags::CLONE_NEWNET),
        ("uts", CloneFlags::CLONE_NEWUTS),
        ("cgroup", CloneFlags::CLONE_NEWCGROUP),
        ("pid", CloneFlags::CLONE_NEWPID),
        ("mnt", CloneFlags::CLONE_NEWNS),
    ];
    let mut opened = Vec::with_capacity(kinds.len());
    for (kind, flag) in kinds {
        let path = format!("/proc/{pid}/ns/{kind}");
        opened.push((kind, flag, File::open(&path).map_err(file(path))?));
    }
    for (kind, flag, handle) in opened {
        setns(handle, flag).map_err(namespace(format!("enter the node's {kind} namespace")))?;
    }
    Ok(())
}

pub(super) fn enter_network(path: &Path) -> Result<(), Error> {
    let handle = File::open(path).map_err(file(path))?;
    setns(handle, CloneFlags::CLONE_NEWNET).map_err(namespace(format!("enter {}", path.display())))
}

/// As a shell does it: 128 + signal for a program that was killed.
fn code(status: ExitStatus) -> ExitCode {
    let value = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    ExitCode::from(u8::try_from(value).unwrap_or(u8::MAX))
}
