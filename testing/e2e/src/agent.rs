//! A node's agent: what it says over its own socket, as its plugin and `cilium-dbg` ask it, and its end.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use serde_json::Value;

use crate::{
    Scene,
    wait::{Progress, until},
};

const SOCKET: &str = "/var/run/cilium/cilium.sock";
/// Time in which the kubelet has started the agent again and it serves, also without an API server.
const BACK: Duration = Duration::from_mins(1);
/// Time in which what was left behind is found and removed: the agent looks twice, half a minute apart.
const SWEPT: Duration = Duration::from_secs(100);

/// An answer of the agent's; `words` are the method and so on, as curl takes them.
pub fn curl(scene: &Scene, node: &str, path: &str, words: &[&str]) -> Result<String> {
    let url = format!("http://agent/v1/{path}");
    let ask = ["curl", "--silent", "--fail", "--unix-socket", SOCKET];
    scene.in_node(node, &[&ask[..], words, &[&url]].concat())
}

fn list(scene: &Scene, node: &str, path: &str, field: &str) -> Result<BTreeSet<String>> {
    let answer = curl(scene, node, path, &[])?;
    let answer: Value = serde_json::from_str(&answer).context("the agent's answer")?;
    let entries = answer.as_array().context("a list")?.iter();
    let fields = entries.map(|entry| entry[field].as_str().map(str::to_owned));
    let fields = fields.collect::<Option<_>>();
    fields.with_context(|| format!("an entry without {field} in {answer}"))
}

/// Addresses of the pods that the kernel of a node carries.
pub fn endpoints(scene: &Scene, node: &str) -> Result<BTreeSet<Ipv4Addr>> {
    let addresses = list(scene, node, "gloonet/bpf/endpoint", "ip")?;
    let addresses = addresses
        .iter()
        .map(|text| text.parse().context("an address"));
    addresses.collect()
}

/// Whether the kernel of a node knows whose an address is, anywhere in the cluster.
pub fn knows(scene: &Scene, node: &str, address: Ipv4Addr) -> Result<bool> {
    let known = list(scene, node, "gloonet/bpf/ipcache", "prefix")?;
    Ok(known.contains(&format!("{address}/32")))
}

/// Its process, which is another one after a restart.
pub fn process(scene: &Scene, node: &str) -> Result<String> {
    let pid = scene.in_node(node, &["pgrep", "-x", "cilium-agent"])?;
    Ok(pid.trim().to_owned())
}

/// Kills the process; the kubelet starts the container again.
pub fn kill(scene: &Scene, node: &str) -> Result<Killed> {
    let killed = Killed {
        node: node.to_owned(),
        process: process(scene, node)?,
    };
    scene.in_node(node, &["kill", "-KILL", &killed.process])?;
    Ok(killed)
}

/// An agent that was killed.
#[derive(Debug)]
pub struct Killed {
    node: String,
    process: String,
}

impl Killed {
    /// Waits until another one serves, and gives the pods it has.
    pub async fn succeeded(self, scene: &Scene) -> Result<BTreeSet<Ipv4Addr>> {
        let Self { node, process: old } = self;
        let what = format!("another agent serves on {node}");
        until(&what, BACK, async || {
            let now = process(scene, &node)?;
            // The old one's socket is still there and answers nobody.
            let found = endpoints(scene, &node)?;
            Ok(Progress::of((now != old).then_some(found), now))
        })
        .await
    }
}

/// Addresses of the pods that run on a node, of those with a network of their own.
async fn pods(scene: &Scene, node: &str) -> Result<BTreeSet<Ipv4Addr>> {
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let all: Api<Pod> = Api::all(scene.client.clone());
    let mut addresses = BTreeSet::new();
    for pod in all.list(&on_node).await? {
        let own_network = pod.spec.is_some_and(|spec| spec.host_network != Some(true));
        let status = pod.status.unwrap_or_default();
        if own_network && status.phase.as_deref() == Some("Running") {
            let address = status.pod_ip.context("a pod that runs without address")?;
            addresses.insert(address.parse().context("a pod's address")?);
        }
    }
    Ok(addresses)
}

/// Waits until the kernel of each node carries the pods that run there and no other.
pub async fn carry_what_runs(scene: &Scene, nodes: &[String]) -> Result<()> {
    for node in nodes {
        let what = format!("the endpoints of {node} are its pods and no other");
        until(&what, SWEPT, async || {
            let (carried, run) = (endpoints(scene, node)?, pods(scene, node).await?);
            let how = format!("endpoints {carried:?}, pods {run:?}");
            Ok(Progress::when(carried == run, how))
        })
        .await?;
    }
    Ok(())
}
