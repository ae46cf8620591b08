//! The lab from outside: its program, its kubectl, our command line.

use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::progress::Step;
use crate::{home, image, process};

/// Which of the lab's clusters; the lab's own program reads the same variable.
pub const CLUSTER_VARIABLE: &str = "GLOONET_LAB_CLUSTER";

/// The cluster whose nodes have no prefix.
const DEFAULT: &str = "default";

/// One of the lab's clusters.
#[derive(Clone, Debug)]
pub struct Lab {
    name: String,
    program: PathBuf,
}

impl Lab {
    /// The cluster the environment names, `default` without one.
    pub fn from_environment() -> Result<Self> {
        Self::from_environment_or(DEFAULT)
    }

    /// The cluster the environment names, or else this one.
    pub fn from_environment_or(name: &str) -> Result<Self> {
        Self::named(&env::var(CLUSTER_VARIABLE).unwrap_or_else(|_| name.to_owned()))
    }

    /// The cluster of that name.
    pub fn named(name: &str) -> Result<Self> {
        Ok(Self {
            name: name.to_owned(),
            program: home::target()?.join("debug/gloonet-lab"),
        })
    }

    /// The cluster's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The full name of a node: in other clusters than `default` the lab puts the cluster's name before it.
    pub fn node_name(&self, short: &str) -> String {
        let prefix = format!("{}-", self.name);
        if self.name == DEFAULT || short.starts_with(&prefix) {
            short.to_owned()
        } else {
            prefix + short
        }
    }

    /// Name of a cluster that belongs to this one.
    pub fn beside(&self, name: &str) -> String {
        if self.name == DEFAULT {
            name.to_owned()
        } else {
            format!("{}-{name}", self.name)
        }
    }

    /// Builds the lab's program.
    pub fn build(&self) -> Result<()> {
        let mut step = Step::start(
            "lab program",
            "gloonet-lab",
            std::time::Duration::from_mins(1),
        );
        let mut command = Command::new("cargo");
        command
            .current_dir(home::root()?)
            .args(["build", "--quiet", "--bin", "gloonet-lab"]);
        process::run_logged(&mut command, "lab-program", &mut step)?;
        step.done();
        Ok(())
    }

    /// The lab's program, for this cluster.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--cluster", &self.name]);
        command
    }

    /// Where the cluster's kubeconfig is.
    pub fn kubeconfig(&self) -> PathBuf {
        PathBuf::from("/var/lib/gloonet-lab")
            .join(&self.name)
            .join("admin.kubeconfig")
    }

    /// Whether the cluster was brought up and not taken down.
    pub fn exists(&self) -> bool {
        self.kubeconfig().exists()
    }

    /// kubectl against the cluster.
    pub fn kubectl(&self) -> Result<Command> {
        let mut command = Command::new(home::cache_folder("bin")?.join("kubectl"));
        command.env("KUBECONFIG", self.kubeconfig());
        Ok(command)
    }

    /// Our command line against the cluster, as it is in the operator's image.
    pub fn gloonet(&self) -> Result<Command> {
        let mut command = Command::new(image::binaries::path("gloonet")?);
        command.env("KUBECONFIG", self.kubeconfig());
        Ok(command)
    }

    /// Hands objects to `kubectl VERB`.
    pub fn hand_over(&self, verb: &str, items: &[Value]) -> Result<()> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
        std::fs::write(file.path(), list.to_string()).context("write the objects")?;
        process::output(self.kubectl()?.args([verb, "-f"]).arg(file.path())).map(drop)
    }

    /// Names of all nodes.
    pub fn nodes(&self) -> Result<Vec<String>> {
        names(&self.get(&["nodes"])?)
    }

    /// Names of the nodes without the control plane's role.
    pub fn workers(&self) -> Result<Vec<String>> {
        let selector = "!node-role.kubernetes.io/control-plane";
        names(&self.get(&["nodes", "--selector", selector])?)
    }

    /// The address a node is reached at.
    pub fn node_ip(&self, node: &str) -> Result<Ipv4Addr> {
        let found = self.get(&["node", node])?;
        let mut addresses = found["status"]["addresses"]
            .as_array()
            .into_iter()
            .flatten();
        let internal = addresses.find(|address| address["type"] == "InternalIP");
        let text = internal.and_then(|address| address["address"].as_str());
        text.with_context(|| format!("node {node} has no InternalIP"))?
            .parse()
            .with_context(|| format!("parse the InternalIP of node {node}"))
    }

    /// What kubectl prints for `get … -o json`.
    pub fn get(&self, arguments: &[&str]) -> Result<Value> {
        let text = process::output(
            self.kubectl()?
                .arg("get")
                .args(arguments)
                .args(["-o", "json"]),
        )?;
        serde_json::from_str(&text)
            .with_context(|| format!("parse what kubectl get {} printed", arguments.join(" ")))
    }
}

fn names(list: &Value) -> Result<Vec<String>> {
    let items = list["items"].as_array().context("a list")?;
    let names = items.iter().map(|item| {
        let name = item["metadata"]["name"].as_str();
        name.map(ToOwned::to_owned).context("an object's name")
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_as_the_lab_calls_it() {
        let east = Lab::named("east").unwrap();
        assert_eq!(east.node_name("worker-1"), "east-worker-1");
        assert_eq!(east.node_name("east-worker-1"), "east-worker-1");
        let default = Lab::named("default").unwrap();
        assert_eq!(default.node_name("worker-1"), "worker-1");
    }
}
