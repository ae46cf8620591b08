//! Asks the nodes of the cluster, and the Service of all agents, whether they are reached, and answers those that ask.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use cilium_api::names::{CLUSTER_HEALTH_PORT, CLUSTER_HEALTH_SERVICE, NAMESPACE};
use futures::{StreamExt as _, stream};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::agent::Agent;
use crate::bell::Bell;
use crate::cluster_health::paths::Target;
use crate::cluster_health::probe::{probe, probe_service};
use crate::cluster_health::{ClusterHealth, responder, schedule};
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
    tasks.spawn(ask_service(agent.clone(), health.clone()));
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

async fn ask_service(agent: Arc<Agent>, health: Arc<ClusterHealth>) {
    for attempt in 0_u64.. {
        let answered = match service_address(&agent) {
            Some(ip) => Some(probe_service(ip, CLUSTER_HEALTH_PORT).await),
            None => None,
        };
        if let Some(Err(why)) = &answered {
            tracing::info!(
                why,
                "Service {NAMESPACE}/{CLUSTER_HEALTH_SERVICE} does not answer"
            );
        }
        let way = health.record_service(answered.map(|answered| answered.is_ok()));
        // At first there is nobody behind it. That is over soon.
        let failures = way.filter(|way| way.worked).map_or(1, |way| way.failures);
        let seed = schedule::seed(&agent.own.name, CLUSTER_HEALTH_SERVICE, attempt);
        tokio::time::sleep(schedule::next(schedule::BASE, failures, seed)).await;
    }
}

fn service_address(agent: &Agent) -> Option<Ipv4Addr> {
    let services = &agent.watched.services;
    let service = services.get(NAMESPACE, CLUSTER_HEALTH_SERVICE)?;
    service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()
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
