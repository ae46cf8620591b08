//! From the write of a policy to the first packets that meet it, on every node.
//!
//! A pod on each node answers datagrams, and one client asks each of them every millisecond. One NetworkPolicy that isolates
//! them is applied again and again, now with a rule that lets everybody in and now without.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::row;
use crate::bench::node::{Place, Server};
use crate::bench::path::pods::{NAMESPACE, Pods};
use crate::bench::peer::watch::micros;
use crate::bench::statistics::percentile;
use crate::bench::watcher::{Watcher, millis};
use crate::lab::Lab;

const PORT: u16 = 5202;
const POLICY: &str = "flip";
const AIM_MS: f64 = 100.0;

/// Measures `applies` writes.
pub async fn run(lab: &Lab, client: &kube::Client, applies: usize, state: &str) -> Result<()> {
    let nodes = lab.nodes()?;
    let pods = Pods::one_per_node(lab, &nodes)?;
    let targets = pods.servers()?;
    let _servers = targets
        .iter()
        .map(|target| Server::start(lab, &Place::Pod(*target), PORT))
        .collect::<Result<Vec<_>>>()?;
    let policies = Api::namespaced(client.clone(), NAMESPACE);
    apply(&policies, true).await?;
    let mut watcher = Watcher::start(lab, &pods.client()?, PORT, &targets)?;
    watcher.wait(true).context("before the first write")?;
    let mut times: BTreeMap<bool, Vec<f64>> = BTreeMap::new();
    let mut writes = Vec::new();
    for number in 0..applies {
        let passes = number % 2 == 1;
        let began = micros();
        apply(&policies, passes).await?;
        writes.push(millis(micros() - began));
        let last = watcher.wait(passes)?;
        times
            .entry(passes)
            .or_default()
            .push(millis(last.saturating_sub(began)));
    }
    print(lab, &times, &writes, (nodes.len(), state));
    Ok(())
}

fn print(
    lab: &Lab,
    times: &BTreeMap<bool, Vec<f64>>,
    writes: &[f64],
    (nodes, state): (usize, &str),
) {
    println!(
        "from the write to {nodes} nodes of {}, {state} ({} writes; the write itself: p50 {:.1} ms)",
        lab.name(),
        writes.len(),
        percentile(writes, 0.5)
    );
    for (passes, times) in times {
        let what = if *passes { "opens" } else { "closes" };
        for (name, part) in [("p50", 0.5), ("p99", 0.99)] {
            row(
                &format!("  it {what}, {name}"),
                percentile(times, part),
                AIM_MS,
                "ms",
            );
        }
    }
}

async fn apply(policies: &Api<NetworkPolicy>, passes: bool) -> Result<()> {
    let rules = if passes { json!([{}]) } else { json!([]) };
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": POLICY},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules},
    });
    let by = PatchParams::apply("gloonet-bench").force();
    policies
        .patch(POLICY, &by, &Patch::Apply(policy))
        .await
        .context("apply the policy")?;
    Ok(())
}
