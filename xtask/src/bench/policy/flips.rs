//! From the write of a policy to the first packets that meet it, on every node.
//!
//! A pod on each node answers datagrams, and one client asks each of them every millisecond. One NetworkPolicy that isolates
//! them is applied again and again, now with a rule that lets everybody in and now without.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::row;
use crate::bench::node::{Place, Server};
use crate::bench::path::pods::{NAMESPACE, Pods};
use crate::bench::peer::watch::{Flip, micros};
use crate::bench::statistics::percentile;
use crate::lab::Lab;

const PORT: u16 = 5202;
const POLICY: &str = "flip";
/// A verdict that has not come by then is a failure, not a figure.
const LIMIT: Duration = Duration::from_secs(10);
/// What came must stay; and the agents shall be at rest again before the next write.
const SETTLE: Duration = Duration::from_millis(250);
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
    let mut watcher = Watcher::start(lab, &pods.client()?, &targets)?;
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

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds in microseconds are far below 2^52"
)]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
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

/// The client, and what it said last of each target.
struct Watcher {
    child: Child,
    said: Receiver<Flip>,
    known: BTreeMap<Ipv4Addr, Flip>,
    targets: usize,
}

impl Watcher {
    fn start(lab: &Lab, from: &Place, targets: &[Ipv4Addr]) -> Result<Self> {
        let port = PORT.to_string();
        let addresses: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let mut arguments = vec!["--port", &port];
        for address in &addresses {
            arguments.extend(["--watch", address]);
        }
        let mut child = from
            .peer(lab, &arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the client")?;
        let output = child.stdout.take().context("the client's output")?;
        let (sender, said) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for flip in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(flip).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            said,
            known: BTreeMap::new(),
            targets: targets.len(),
        })
    }

    /// When the last target came to the verdict, all of them staying with it for a while.
    fn wait(&mut self, passes: bool) -> Result<u64> {
        let began = Instant::now();
        loop {
            match self.said.recv_timeout(SETTLE) {
                Ok(flip) => drop(self.known.insert(flip.to, flip)),
                Err(RecvTimeoutError::Timeout) if self.all(passes) => {
                    let last = self.known.values().map(|flip| flip.at_us).max();
                    return last.context("no target");
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the client ended"),
            }
            if began.elapsed() > LIMIT {
                let word = if passes { "open" } else { "closed" };
                bail!(
                    "not every node was {word} after {LIMIT:?}: {:?}",
                    self.known
                );
            }
        }
    }

    fn all(&self, passes: bool) -> bool {
        self.known.len() == self.targets && self.known.values().all(|flip| flip.passes == passes)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}
