//! Running programs in the namespaces of a node or of a pod.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::Lab;
use crate::{home, process};

/// Runs a shell line inside a node and returns what it printed.
pub fn shell(lab: &Lab, node: &str, line: &str) -> Result<String> {
    process::output(lab.command().args(["exec", node, "--", "sh", "-euc", line]))
        .with_context(|| format!("on {node}: {line}"))
}

/// Where traffic starts or ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the pod with this address.
    Pod(Ipv4Addr),
    /// In a network namespace known by name inside a node.
    Named { node: String, namespace: String },
    /// In a node's own network.
    Node(String),
    /// On the host beyond the cluster.
    Outside,
}

impl Place {
    /// A command that runs this program's hidden peer there.
    ///
    /// Only the network namespace is entered. In the cgroup of a pod or of a node one end would get another share of the
    /// CPU than the other, and a busy machine would measure that.
    pub fn peer(&self, lab: &Lab, arguments: &[&str]) -> Result<Command> {
        let myself = std::env::current_exe().context("find this program")?;
        let mut command = match self {
            Self::Pod(address) => spot(lab, &format!("pod/{address}")),
            Self::Outside => spot(lab, "outside"),
            Self::Named { node, namespace } => {
                network_of(lab, node, &format!("root/run/netns/{namespace}"))?
            }
            Self::Node(node) => network_of(lab, node, "ns/net")?,
        };
        command.arg(myself).args(["bench", "peer"]).args(arguments);
        Ok(command)
    }
}

/// `file` names the network namespace, from the node's first process.
fn network_of(lab: &Lab, node: &str, file: &str) -> Result<Command> {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/proc/{}/{file}", first_process(lab, node)?));
    Ok(command)
}

fn spot(lab: &Lab, spot: &str) -> Command {
    let mut command = lab.command();
    command.args(["exec", spot, "--"]);
    command
}

/// Pid on the machine of a node's first process.
fn first_process(lab: &Lab, node: &str) -> Result<u64> {
    let text = process::output(lab.command().args(["status", "--json"]))?;
    let status: Value = serde_json::from_str(&text).context("read the lab's status")?;
    init_of(&status, node).with_context(|| format!("node {node} is not running"))
}

fn init_of(status: &Value, node: &str) -> Option<u64> {
    let named = |list: &Value, name: &str| {
        list.as_array()?
            .iter()
            .find(|item| item["name"] == name)
            .cloned()
    };
    named(&named(&status["nodes"], node)?["processes"], "init")?["pid"].as_u64()
}

/// This program under a name that is new to a node; it goes with this value.
///
/// The machine's files are the lower layer of a node's overlay, which keeps showing a program that was replaced by a build.
#[derive(Debug)]
pub struct FreshCopy {
    path: PathBuf,
}

impl FreshCopy {
    /// Copies the running program.
    pub fn make() -> Result<Self> {
        let path = home::cache_folder("bench")?.join(format!("xtask-{}", std::process::id()));
        let myself = std::env::current_exe().context("find this program")?;
        fs::copy(myself, &path)
            .with_context(|| format!("copy this program to {}", path.display()))?;
        Ok(Self { path })
    }

    /// Where the copy is, on the machine as in the node.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FreshCopy {
    fn drop(&mut self) {
        // A copy that stays takes space and harms nobody.
        let _removed = fs::remove_file(&self.path);
    }
}

/// The processor of a client that is measured; its server is [`Server::apart`].
///
/// Where the scheduler puts both ends decides more than any program between them, and it does not put them alike every time.
pub const OF_THE_CLIENT: [&str; 2] = ["--processor", "0"];

/// A server that ends with this value: its input closes.
#[derive(Debug)]
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts the peer's server at a place.
    pub fn start(lab: &Lab, place: &Place, port: u16) -> Result<Self> {
        Self::with(lab, place, &["--port", &port.to_string()])
    }

    /// The same for a client on [`OF_THE_CLIENT`]: on the last processor.
    pub fn apart(lab: &Lab, place: &Place, port: u16) -> Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let last = (processors - 1).to_string();
        Self::with(
            lab,
            place,
            &["--port", &port.to_string(), "--processor", &last],
        )
    }

    fn with(lab: &Lab, place: &Place, arguments: &[&str]) -> Result<Self> {
        let mut command = place.peer(lab, arguments)?;
        let child = command
            .stdin(Stdio::piped())
            .spawn()
            .context("start a server")?;
        Ok(Self { child })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_process_of_the_right_node_is_found() {
        let process = |name: &str, pid: u32| json!({"name": name, "pid": pid});
        let status = json!({"nodes": [
            {"name": "worker-1", "processes": [process("containerd", 5), process("init", 6)]},
            {"name": "worker-2", "processes": [process("init", 7)]},
        ]});
        assert_eq!(init_of(&status, "worker-2"), Some(7));
        assert_eq!(init_of(&status, "worker-3"), None);
    }
}
