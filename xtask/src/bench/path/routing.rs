//! The routing mode of the measured network, changed as a plan for it would.

use anyhow::{Context, Result};
use gloonet_api::CONFIRM_ROUTING_MODE;
use gloonet_api::cilium::RoutingMode;
use serde_json::json;

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
        self.settled()
            .with_context(|| format!("after the change to {word}"))?;
        self.annotate(&format!("{CONFIRM_ROUTING_MODE}-"))
    }

    /// While nodes of both modes are there they do not reach each other's pods, and what was asked then counts until it is asked anew.
    fn settled(&self) -> Result<()> {
        for state in ["Progressing=False", "Available=True", "Degraded=False"] {
            let condition = format!("--for=condition={state}");
            let wait = ["wait", &condition, LIMIT];
            let waited = process::output(self.lab.kubectl()?.args(wait).args(PLATFORM));
            waited.with_context(|| match self.lab.get(&PLATFORM) {
                Ok(platform) => format!(
                    "GlooNetwork default says: {}",
                    platform["status"]["message"]
                ),
                Err(error) => format!("GlooNetwork default is not told: {error:#}"),
            })?;
        }
        Ok(())
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
