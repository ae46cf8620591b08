//! Services into the datapath.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use datapath::{Frontend, Service};

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::difference::{self, Outcome, Writer};
use crate::services::translate;
use crate::task::{REPAIR, RETRY};

pub async fn run(agent: Arc<Agent>, bell: Bell) {
    let mut pause = RETRY;
    loop {
        bell.wait(pause).await;
        // A service without its slices would refuse connections that work now.
        if !agent.watched.services.synced() || !agent.watched.slices.synced() {
            continue;
        }
        let worker = agent.clone();
        let outcome = blocking(move || pass(&worker)).await;
        let problem = match outcome {
            None => Some("service task panicked".to_owned()),
            Some(Err(error)) => Some(cilium_cni::error::chain(&error)),
            Some(Ok(outcome)) => {
                let count = |counter: &std::sync::atomic::AtomicU64, n: usize| {
                    counter.fetch_add(n as u64, Ordering::Relaxed);
                };
                count(&agent.tally.services_updated, outcome.written);
                count(&agent.tally.services_removed, outcome.removed);
                outcome.failures.into_iter().next()
            }
        };
        pause = if problem.is_none() { REPAIR } else { RETRY };
        agent.report("services", problem);
    }
}

fn pass(agent: &Agent) -> Result<Outcome, datapath::Error> {
    let services = agent.watched.services.list();
    let slices = agent.watched.slices.list();
    let desired = translate(
        services.iter().map(AsRef::as_ref),
        slices.iter().map(AsRef::as_ref),
        &agent.own.name,
    );
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
        upsert: Box::new(|_, service| agent.datapath.upsert_service(service)),
        remove: Box::new(|frontend| agent.datapath.remove_service(*frontend)),
    };
    Ok(difference::apply(&mut current, &desired, true, writer))
}
