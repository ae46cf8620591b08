//! Services into the datapath.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datapath::{Frontend, Service};
use jiff::Timestamp;

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::difference::{self, Outcome, Writer, said};
use crate::services::{HealthCheck, Own, Slices, claims, health_checks};
use crate::task::health_ports::HealthPorts;
use crate::task::{REPAIR, RETRY};

pub async fn run(agent: Arc<Agent>, bell: Bell) {
    let mut pause = RETRY;
    let mut health_ports = HealthPorts::default();
    loop {
        bell.wait(pause).await;
        // A service without its slices would refuse connections that work now.
        let watched = &agent.watched;
        if !watched.services.synced() || !watched.slices.synced() || !watched.pods.synced() {
            continue;
        }
        let worker = agent.clone();
        let outcome = blocking(move || pass(&worker)).await;
        let problem = match outcome {
            None => Some("service task panicked".to_owned()),
            Some(Err(error)) => Some(cilium_cni::error::chain(&error)),
            Some(Ok((outcome, checks))) => {
                let count = |counter: &std::sync::atomic::AtomicU64, n: usize| {
                    counter.fetch_add(n as u64, Ordering::Relaxed);
                };
                count(&agent.tally.services_updated, outcome.written);
                count(&agent.tally.services_removed, outcome.removed);
                let closed = health_ports.apply(agent.own.ip, checks).await;
                outcome.failures.into_iter().next().or(closed)
            }
        };
        if problem.is_none() {
            agent.filled("services");
            agent.services_are_updated(Timestamp::now());
        }
        pause = if problem.is_none() { REPAIR } else { RETRY };
        agent.report("services", problem);
    }
}

fn pass(agent: &Agent) -> Result<(Outcome, BTreeMap<u16, HealthCheck>), datapath::Error> {
    let services = agent.watched.services.list();
    let slices = agent.watched.slices.list();
    let pods = agent.watched.pods.list();
    let node = agent.watched.nodes.get("", &agent.own.name);
    let own = Own::of(&agent.own, node.as_deref());
    let services = || services.iter().map(AsRef::as_ref);
    let slices = Slices::of(slices.iter().map(AsRef::as_ref));
    let claims = claims(services(), &slices, pods.iter().map(AsRef::as_ref), own);
    let apart = claims
        .into_iter()
        .map(|(frontend, claim)| ((frontend, claim.owner), (frontend, claim.balanced)));
    let (owners, desired): (BTreeMap<_, _>, BTreeMap<_, _>) = apart.unzip();
    let checks = health_checks(services(), &slices, own);
    let mut current: BTreeMap<Frontend, Service> = agent
        .datapath
        .services()?
        .into_iter()
        .map(|mut service| {
            service.backends.sort();
            (service.frontend, service)
        })
        .collect();
    let writer = Writer {
        upsert: Box::new(|frontend, service| {
            let written = said(agent.datapath.upsert_service(service));
            written.map_err(|sentence| match owners.get(frontend) {
                Some(owner) => format!("{owner}: {sentence}"),
                None => sentence,
            })
        }),
        remove: Box::new(|frontend| said(agent.datapath.remove_service(*frontend))),
    };
    let outcome = difference::apply(&mut current, &desired, true, writer);
    Ok((outcome, checks))
}
