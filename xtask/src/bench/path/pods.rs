//! Idle pods between which traffic is measured.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::super::node::Place;
use super::Route;
use crate::lab::Lab;
use crate::process;

/// Where pods of measurements are.
pub const NAMESPACE: &str = "gloonet-bench";
/// It can idle.
pub const IMAGE: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";

const CLIENT: &str = "client";

/// The pods; their namespace goes with this value.
#[derive(Debug)]
pub struct Pods<'a> {
    lab: &'a Lab,
    /// By pod's name.
    nodes: BTreeMap<String, String>,
    running: Vec<Value>,
}

impl<'a> Pods<'a> {
    /// `a` and `b` on one worker, `c` on another.
    pub fn on_two_workers(lab: &'a Lab) -> Result<Self> {
        let [first, second] = workers(lab)?;
        let places = [("a", &first), ("b", &first), ("c", &second)];
        Self::start(
            lab,
            places
                .map(|(pod, node)| (pod.to_owned(), node.clone()))
                .into(),
        )
    }

    /// `client` on the first worker, and on each node a pod called after it.
    pub fn one_per_node(lab: &'a Lab, nodes: &[String]) -> Result<Self> {
        let [first, _] = workers(lab)?;
        let mut places: BTreeMap<String, String> = nodes
            .iter()
            .map(|node| (node.clone(), node.clone()))
            .collect();
        places.insert(CLIENT.to_owned(), first);
        Self::start(lab, places)
    }

    /// Starts them and waits until they run.
    fn start(lab: &'a Lab, nodes: BTreeMap<String, String>) -> Result<Self> {
        let mut pods = Self {
            lab,
            nodes,
            running: Vec::new(),
        };
        lab.hand_over("apply", &pods.manifest())?;
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

    /// The nodes of `a` and `c`.
    pub fn nodes(&self) -> Result<[&str; 2]> {
        let of = |pod: &str| self.nodes.get(pod).with_context(|| format!("no pod {pod}"));
        Ok([of("a")?, of("c")?])
    }

    /// The pod that asks.
    pub fn client(&self) -> Result<Place> {
        self.address(CLIENT).map(Place::Pod)
    }

    /// Addresses of all but the client.
    pub fn servers(&self) -> Result<Vec<Ipv4Addr>> {
        let names = self.nodes.keys().filter(|name| *name != CLIENT);
        names.map(|name| self.address(name)).collect()
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
        for (name, node) in &self.nodes {
            items.push(json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": NAMESPACE},
                "spec": {
                    "nodeName": node,
                    "terminationGracePeriodSeconds": 0,
                    // A node's taints count for the scheduler and for whoever evicts.
                    "tolerations": [{"operator": "Exists"}],
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
            let _gone = process::output(command.args(["delete", "namespace", NAMESPACE]));
        }
    }
}

/// Two nodes without the control plane's taint.
pub fn workers(lab: &Lab) -> Result<[String; 2]> {
    let mut all = lab.workers()?.into_iter();
    let mut next = || {
        all.next()
            .context("the cluster has fewer than two workers: ./dev lab node add")
    };
    Ok([next()?, next()?])
}
