//! Running programs in the namespaces of a node or of a pod.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::lab::Lab;
use crate::process;

/// Runs a shell line inside a node and returns what it printed.
pub fn shell(lab: &Lab, node: &str, line: &str) -> Result<String> {
    process::output(lab.command().args(["exec", node, "--", "sh", "-euc", line]))
        .with_context(|| format!("on {node}: {line}"))
}

/// A process whose network namespace is the pod's: one that has the pod's UID in its cgroup.
pub fn pod_process(uid: &str) -> Result<u32> {
    let wanted = [uid.to_owned(), uid.replace('-', "_")];
    for entry in fs::read_dir("/proc").context("list processes")? {
        let path = entry.context("list processes")?.path();
        let Some(pid) = path
            .file_name()
            .and_then(|name| name.to_str()?.parse::<u32>().ok())
        else {
            continue;
        };
        // A process may end while its folder is read.
        let Ok(groups) = fs::read_to_string(path.join("cgroup")) else {
            continue;
        };
        if wanted.iter().any(|uid| groups.contains(uid)) && Path::new(&path).join("ns/net").exists()
        {
            return Ok(pid);
        }
    }
    bail!("no process belongs to the pod with UID {uid}");
}

/// Where traffic starts or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the network namespace of a process of this machine.
    Process(u32),
    /// In a network namespace known by name inside a node.
    Named { node: String, namespace: String },
}

impl Place {
    /// A command that runs this program's hidden peer there.
    pub fn peer(&self, lab: &Lab, arguments: &[&str]) -> Result<Command> {
        let myself = std::env::current_exe().context("find this program")?;
        let mut command = match self {
            Self::Process(pid) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/proc/{pid}/ns/net"));
                command
            }
            Self::Named { node, namespace } => {
                let mut command = lab.command();
                command.args([
                    "exec",
                    node,
                    "--",
                    "nsenter",
                    &format!("--net=/run/netns/{namespace}"),
                ]);
                command
            }
        };
        command.arg(myself).args(["bench", "peer"]).args(arguments);
        Ok(command)
    }
}

/// A server that ends with this value.
#[derive(Debug)]
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts the peer's server at a place.
    pub fn start(lab: &Lab, place: &Place, port: u16) -> Result<Self> {
        let mut command = place.peer(lab, &["--port", &port.to_string()])?;
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .context("start a server")?;
        Ok(Self { child })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has nothing to save, and the namespace it is in goes away next.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
