//! The routing mode of the measured network, changed as a plan for it would.

use anyhow::{Context, Result, bail};
use gloonet_api::CONFIRM_ROUTING_MODE;
use gloonet_api::cilium::RoutingMode;
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::process;

const PLATFORM: [&str; 2] = ["gloonetwork", "default"];
/// Agents are replaced one after the other, and each soaks.
const LIMIT: &str = "--timeout=600s";

/// The network comes back to the mode it was found in when this value goes.
#[derive(Debug)]
pub struct Routing<'a> {
    lab: &'a Lab,
    found: RoutingMode,
}

impl<'a> Routing<'a> {
    /// Looks which mode it is in.
    pub fn of(lab: &'a Lab) -> Result<Self> {
        let found = now(lab)?;
        Ok(Self { lab, found })
    }

    /// The mode it was found in.
    pub fn found(&self) -> RoutingMode {
        self.found
    }

    /// Changes it and waits until every node has followed; says so, for it takes minutes.
    pub fn change(&self, mode: RoutingMode) -> Result<()> {
        if now(self.lab)? == mode {
            return Ok(());
        }
        let word = mode.as_str();
        eprintln!("… routing: {word}, node by node");
        self.annotate(&format!("{CONFIRM_ROUTING_MODE}={word}"))?;
        let spec = json!({"spec": {"cilium": {"routing": {"mode": word}}}}).to_string();
        let patch = ["patch", "--type=merge", "--patch", &spec];
        process::output(self.lab.kubectl()?.args(patch).args(PLATFORM))?;
        let settled = ["wait", "--for=condition=Progressing=False", LIMIT];
        process::output(self.lab.kubectl()?.args(settled).args(PLATFORM))?;
        let status = &self.lab.get(&PLATFORM)?["status"];
        if !is_available(status) {
            bail!(
                "after the change to {word} GlooNetwork default says: {}",
                status["message"]
            );
        }
        self.annotate(&format!("{CONFIRM_ROUTING_MODE}-"))
    }

    fn annotate(&self, change: &str) -> Result<()> {
        let mut command = self.lab.kubectl()?;
        command
            .args(["annotate", "--overwrite"])
            .args(PLATFORM)
            .arg(change);
        process::output(&mut command).map(drop)
    }
}

impl Drop for Routing<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.change(self.found) {
            eprintln!(
                "the routing mode was {} before and is not any more: {error:#}",
                self.found.as_str()
            );
        }
    }
}

fn now(lab: &Lab) -> Result<RoutingMode> {
    let mode = &lab.get(&PLATFORM)?["spec"]["cilium"]["routing"]["mode"];
    if mode.is_null() {
        return Ok(RoutingMode::default());
    }
    serde_json::from_value(mode.clone()).context("read spec.cilium.routing.mode")
}

fn is_available(status: &Value) -> bool {
    let conditions = status["conditions"].as_array();
    let says = |kind: &str, wanted: &str| {
        let mut conditions = conditions.into_iter().flatten();
        conditions.any(|condition| condition["type"] == kind && condition["status"] == wanted)
    };
    says("Available", "True") && says("Degraded", "False")
}
