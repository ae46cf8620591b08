//! Policies for the measured pods. One lets the measured traffic pass; the others open ports nobody uses.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::super::node::shell;
use super::super::operator::sum;
use super::PORT;
use super::pods::NAMESPACE;
use crate::lab::Lab;
use crate::process;

const LIMIT: Duration = Duration::from_mins(2);

/// Makes that there are `count` of them, and waits until both nodes' agents follow.
pub fn exactly(lab: &Lab, nodes: [&str; 2], count: u32) -> Result<()> {
    let clean = ["delete", "networkpolicy", "--all", "--namespace", NAMESPACE];
    process::output(lab.kubectl()?.args(clean))?;
    let others = others(lab)?;
    if count > 0 {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": manifest(count)});
        let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
        std::fs::write(file.path(), list.to_string()).context("write the policies")?;
        process::output(lab.kubectl()?.args(["create", "-f"]).arg(file.path()))?;
    }
    let wanted = f64::from(count) + others;
    for node in nodes {
        wait(lab, node, wanted)?;
    }
    // The number is that of the resolver; the datapath follows within milliseconds.
    sleep(Duration::from_secs(1));
    Ok(())
}

fn wait(lab: &Lab, node: &str, wanted: f64) -> Result<()> {
    let port = cilium_api::names::AGENT_METRICS_PORT;
    let began = Instant::now();
    loop {
        let line = format!("busybox wget -q -O - http://127.0.0.1:{port}/metrics");
        let known = sum(&shell(lab, node, &line)?, "cilium_policy", &[]);
        if (known - wanted).abs() < 0.5 {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            bail!("the agent of {node} knows {known} policies instead of {wanted} after {LIMIT:?}");
        }
        sleep(Duration::from_millis(200));
    }
}

/// Policies that were there before.
fn others(lab: &Lab) -> Result<f64> {
    let kinds = "networkpolicies,ciliumnetworkpolicies,ciliumclusterwidenetworkpolicies";
    let found = lab.get(&[kinds, "--all-namespaces"])?;
    let items = found["items"].as_array().map_or(0, Vec::len);
    Ok(f64::from(u32::try_from(items).unwrap_or(u32::MAX)))
}

fn manifest(count: u32) -> Vec<Value> {
    let policy = |number: u32| {
        let port = if number == 0 {
            u32::from(PORT)
        } else {
            20_000 + number
        };
        let rule = |peers: &str| json!([{peers: [{"podSelector": {}}], "ports": [{"protocol": "TCP", "port": port}]}]);
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": format!("p{number}"), "namespace": NAMESPACE},
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": rule("from"),
                "egress": rule("to"),
            },
        })
    };
    (0..count).map(policy).collect()
}
