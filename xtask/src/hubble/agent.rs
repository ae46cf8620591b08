//! The agent of one node: it knows the flows of its own pods, and answers programs of its node without a certificate.

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::lab::Lab;

/// Where the agent serves the Hubble API to programs on its node.
const SOCKET: &str = "/var/run/cilium/hubble.sock";

pub(super) fn environment() -> [(&'static str, String); 1] {
    [("HUBBLE_SERVER", format!("unix://{SOCKET}"))]
}

/// An error that says what to do, in place of the client's.
pub(super) fn look_for_socket(lab: &Lab, node: &str) -> Result<()> {
    let looked = lab
        .command()
        .args(["exec", node, "--", "test", "-S", SOCKET])
        .stdin(Stdio::null())
        .output()
        .context("start the lab's program")?;
    if looked.status.success() {
        return Ok(());
    }
    // `test` says nothing; the lab's own refusals do.
    let said = String::from_utf8_lossy(&looked.stderr);
    if !said.trim().is_empty() {
        bail!("look for hubble's socket on {node}: {}", said.trim());
    }
    bail!(
        "node {node} has no {SOCKET}: its agent does not run, or does not serve Hubble. \
         ./dev gloonet status says whether cilium-agent is healthy, ./dev logs cilium-agent what it says about Hubble"
    )
}
