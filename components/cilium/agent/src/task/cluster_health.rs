//! Asks the nodes of the cluster whether they are reached, and answers those that ask.

use std::net::SocketAddrV4;
use std::sync::Arc;

use cilium_api::names::CLUSTER_HEALTH_PORT;
use futures::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::bell::Bell;
use crate::cluster_health::paths::Target;
use crate::cluster_health::probe::probe;
use crate::cluster_health::{ClusterHealth, responder};
use crate::nodes;
use crate::task::{REPAIR, RETRY};

/// Nodes that are asked at once, each with four questions.
const AT_ONCE: usize = 32;

pub fn start(agent: &Arc<Agent>, health: &Arc<ClusterHealth>, bell: Bell, tasks: &mut JoinSet<()>) {
    for (part, ip) in [
        ("cluster health", agent.own.ip),
        ("cluster health on the pod network", agent.own.router),
    ] {
        let address = SocketAddrV4::new(ip, CLUSTER_HEALTH_PORT);
        tasks.spawn(answer(agent.clone(), health.clone(), part, address));
    }
    tasks.spawn(follow(agent.clone(), health.clone(), bell));
    tasks.spawn(ask(agent.clone(), health.clone()));
}

/// Opens the port, again and again while something else holds it.
async fn answer(
    agent: Arc<Agent>,
    health: Arc<ClusterHealth>,
    part: &'static str,
    address: SocketAddrV4,
) {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                agent.report(part, None);
                responder::serve(listener, health.nodes()).await;
            }
            Err(error) => {
                let sentence = format!(
                    "cannot answer other nodes at {address}: {error}; they take this node for unreachable until the port is free"
                );
                agent.report(part, Some(sentence));
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Which nodes there are. Those that are not believed are told of by `task::network`.
async fn follow(agent: Arc<Agent>, health: Arc<ClusterHealth>, bell: Bell) {
    let mut previous = Vec::new();
    loop {
        bell.wait(REPAIR).await;
        if !agent.watched.nodes.synced() {
            continue;
        }
        let listed = agent.watched.nodes.list();
        (previous, _) = nodes::accept(listed.iter().map(AsRef::as_ref), &previous);
        health.learn(&previous);
    }
}

async fn ask(agent: Arc<Agent>, health: Arc<ClusterHealth>) {
    loop {
        let due = health.due().await;
        round(&agent, &health, due).await;
    }
}

/// Every node now, for somebody who waits for it.
pub async fn ask_all(agent: &Agent, health: &ClusterHealth) {
    let _nobody_beside = health.at_once.lock().await;
    round(agent, health, health.all()).await;
}

async fn round(agent: &Agent, health: &ClusterHealth, targets: Vec<Target>) {
    let asked = stream::iter(targets).map(|target| async move {
        let found = probe(&target, CLUSTER_HEALTH_PORT).await;
        (target, found)
    });
    let mut answered = asked.buffer_unordered(AT_ONCE);
    while let Some((target, found)) = answered.next().await {
        agent.timings.node_probed(&found);
        health.record(&target, found);
    }
}
