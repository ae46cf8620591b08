//! Running programs in the namespaces of a node or of a pod.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::process;

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
}

impl Place {
    /// A command that runs this program's hidden peer there.
    pub fn peer(&self, lab: &Lab, arguments: &[&str]) -> Result<Command> {
        let myself = std::env::current_exe().context("find this program")?;
        let mut command = lab.command();
        match self {
            Self::Pod(address) => command.args(["exec", &format!("pod/{address}"), "--"]),
            Self::Named { node, namespace } => {
                let namespace = format!("--net=/run/netns/{namespace}");
                command.args(["exec", node, "--", "nsenter", &namespace])
            }
        };
        command.arg(myself).args(["bench", "peer"]).args(arguments);
        Ok(command)
    }
}

/// A server that ends with this value: its input closes.
#[derive(Debug)]
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts the peer's server at a place.
    pub fn start(lab: &Lab, place: &Place, port: u16) -> Result<Self> {
        let mut command = place.peer(lab, &["--port", &port.to_string()])?;
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
