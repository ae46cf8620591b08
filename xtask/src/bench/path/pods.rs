//! Three idle pods, two on one node and one on another.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::node::Place;
use super::Route;
use crate::lab::Lab;
use crate::process;

const NAMESPACE: &str = "gloonet-bench";
const IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";

/// The pods; their namespace goes with this value.
#[derive(Debug)]
pub struct Pods<'a> {
    lab: &'a Lab,
    nodes: [String; 2],
    running: Vec<Value>,
}

impl<'a> Pods<'a> {
    /// Starts them on two workers and waits until they run.
    pub fn start(lab: &'a Lab) -> Result<Self> {
        let nodes = workers(lab)?;
        let mut pods = Self {
            lab,
            nodes,
            running: Vec::new(),
        };
        let list = json!({"apiVersion": "v1", "kind": "List", "items": pods.manifest()});
        let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
        std::fs::write(file.path(), list.to_string()).context("write the pods")?;
        process::output(lab.kubectl()?.args(["apply", "-f"]).arg(file.path()))?;
        let ready = [
            "wait",
            "--for=condition=Ready",
            "--timeout=120s",
            "--namespace",
            NAMESPACE,
            "pod",
            "--all",
        ];
        process::output(lab.kubectl()?.args(ready))?;
        let found = lab.get(&["pods", "--namespace", NAMESPACE])?;
        pods.running = found["items"].as_array().cloned().unwrap_or_default();
        Ok(pods)
    }

    /// The node with two pods, and the other.
    pub fn nodes(&self) -> [&str; 2] {
        [&self.nodes[0], &self.nodes[1]]
    }

    /// Between the two pods of one node.
    pub fn same_node(&self) -> Result<Route> {
        self.route("a", "b")
    }

    /// Between pods of two nodes.
    pub fn two_nodes(&self) -> Result<Route> {
        self.route("a", "c")
    }

    fn route(&self, from: &str, to: &str) -> Result<Route> {
        let address = self.address(to)?;
        Ok(Route {
            from: Place::Pod(self.address(from)?),
            to: Place::Pod(address),
            address,
        })
    }

    fn address(&self, name: &str) -> Result<Ipv4Addr> {
        let address = self.pod(name)?["status"]["podIP"]
            .as_str()
            .context("a pod without address")?;
        address.parse().context("parse a pod's address")
    }

    fn pod(&self, name: &str) -> Result<&Value> {
        let found = self
            .running
            .iter()
            .find(|pod| pod["metadata"]["name"] == name);
        found.with_context(|| format!("pod {name} is gone"))
    }

    fn manifest(&self) -> Vec<Value> {
        let mut items =
            vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})];
        for (name, node) in [("a", 0), ("b", 0), ("c", 1)] {
            items.push(json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "nodeName": self.nodes[node],
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "idle", "image": IMAGE, "args": ["pause"]}],
                },
            }));
        }
        items
    }
}

impl Drop for Pods<'_> {
    fn drop(&mut self) {
        if let Ok(mut command) = self.lab.kubectl() {
            // Nobody can act on a failure here; the namespace's name says what left it behind.
            let _gone =
                process::output(command.args(["delete", "namespace", NAMESPACE, "--wait=false"]));
        }
    }
}

/// Two nodes without the control plane's taint.
pub fn workers(lab: &Lab) -> Result<[String; 2]> {
    let nodes = lab.get(&[
        "nodes",
        "--selector",
        "!node-role.kubernetes.io/control-plane",
    ])?;
    let name = |at: usize| {
        let name = nodes["items"][at]["metadata"]["name"].as_str();
        name.map(ToOwned::to_owned)
            .context("the cluster has fewer than two workers: ./dev lab node add")
    };
    Ok([name(0)?, name(1)?])
}
