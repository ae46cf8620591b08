//! `./dev bench start`: how long an agent takes from its first instruction to serving, on a full node of a large cluster, and what
//! memory it then has. Each figure stands beside its aim.

use std::thread;

use anyhow::{Context, Result};
use cilium_api::names::{AGENT_HEALTH_PORT, AGENT_SELECTOR, NAMESPACE};

use super::api;
use super::node::shell;
use super::policy::{crowd, row};
use super::services::crowd::Crowd as Services;
use super::statistics::percentile;
use crate::lab::Lab;
use crate::process;

const AIM_SECONDS: f64 = 5.0;
const AIM_MB: f64 = 120.0;
const PATIENCE_SECONDS: u32 = 180;

/// Arguments of `./dev bench start`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Pods on the worker whose agent starts; with them come 10,000 identities and 200 policies.
    #[arg(long, default_value_t = 100)]
    pods: u32,
    /// Services, each with one endpoint.
    #[arg(long, default_value_t = 1000)]
    services: u32,
    /// Starts of the agent.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
}

/// Measures and prints a table.
pub fn run(arguments: &Arguments) -> Result<()> {
    api::on_cluster(async |lab, client| on_cluster(lab, &client, arguments).await)
}

async fn on_cluster(lab: &Lab, client: &kube::Client, arguments: &Arguments) -> Result<()> {
    let services = Services::new(client);
    let disperse = async || {
        let dispersed = [crowd::disperse(client).await, services.disperse().await];
        dispersed.into_iter().fold(Ok(()), Result::and)
    };
    disperse().await?;
    let measured = api::interruptible(async {
        let pods = crowd::Crowd::gather(lab, client, arguments.pods).await?;
        let endpoint = lab.node_ip(pods.node())?;
        services.gather(arguments.services, endpoint).await?;
        measure(lab, pods.node(), arguments)?;
        pods.print_memory(AIM_MB)
    })
    .await;
    measured.and(disperse().await)
}

fn measure(lab: &Lab, node: &str, arguments: &Arguments) -> Result<()> {
    println!(
        "{:<58} {:>10} {:>10} {:>8}",
        "agent of a full node", "ours", "aim", "ratio"
    );
    let times = (0..arguments.starts).map(|_| start(lab, node));
    let times = times.collect::<Result<Vec<f64>>>()?;
    let among = format!("{} pods, {} Services", arguments.pods, arguments.services);
    for (word, share) in [("half of the starts", 0.5), ("the slowest start", 1.0)] {
        let what = format!("{word} with {among}");
        row(&what, percentile(&times, share), AIM_SECONDS, "s");
    }
    Ok(())
}

/// Seconds from the first sight of a new agent's process to its first good answer at the health port.
fn start(lab: &Lab, node: &str) -> Result<f64> {
    // With an end: an agent that never comes is the rollout's to complain of, and must not be waited for here.
    let watch = format!(
        "old=$(pgrep -x cilium-agent)
         while now=$(pgrep -x cilium-agent || true); [ -z \"$now\" ] || [ \"$now\" = \"$old\" ]; do sleep 0.01; done
         from=$(date +%s%N)
         while ! busybox wget -q -O /dev/null http://127.0.0.1:{AGENT_HEALTH_PORT}/healthz 2> /dev/null; do sleep 0.02; done
         echo $(( ($(date +%s%N) - from) / 1000000 ))"
    );
    let watch = format!("timeout {PATIENCE_SECONDS} sh -euc '{watch}'");
    let milliseconds = thread::scope(|scope| {
        let watching = scope.spawn(|| shell(lab, node, &watch));
        replace(lab, node)?;
        watching
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    let milliseconds: f64 = milliseconds.trim().parse().context("read milliseconds")?;
    Ok(milliseconds / 1e3)
}

/// The old agent ends in its own time, and only then another one comes.
fn replace(lab: &Lab, node: &str) -> Result<()> {
    let on_node = format!("spec.nodeName={node}");
    let pod = [
        "--namespace",
        NAMESPACE,
        "--selector",
        AGENT_SELECTOR,
        "--field-selector",
        &on_node,
    ];
    process::output(lab.kubectl()?.args(["delete", "pod"]).args(pod))?;
    let ready = [
        "rollout",
        "status",
        "daemonset/cilium",
        "--namespace",
        NAMESPACE,
        &format!("--timeout={PATIENCE_SECONDS}s"),
    ];
    process::output(lab.kubectl()?.args(ready)).map(drop)
}
