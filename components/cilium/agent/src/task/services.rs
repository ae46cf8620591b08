//! Services into the datapath.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use datapath::{Datapath, Frontend, Service};

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::difference::{self, Outcome, Writer, said};
use crate::kubernetes::Watched;
use crate::moment::Moment;
use crate::services::{HealthCheck, Kept, Own, Processes, Reserved, Sockets, processes, taken};
use crate::task::health_ports::HealthPorts;
use crate::task::obstacles::{IN_USE, Obstacle, Obstacles, REFUSED, sockets};
use crate::task::{REPAIR, RETRY};

pub async fn run(agent: Arc<Agent>, bell: Bell) {
    let mut pause = RETRY;
    let mut balancing = Balancing::default();
    let mut health_ports = HealthPorts::default();
    let mut obstacles = Obstacles::default();
    loop {
        bell.wait(pause).await;
        if !knows_enough(&agent.watched) {
            continue;
        }
        let began = Instant::now();
        let worker = agent.clone();
        let mut now = std::mem::take(&mut balancing);
        let passed = blocking(move || (pass(&worker, &mut now), now)).await;
        // After a panic everything is read and decided anew.
        let outcome = passed.map(|(outcome, now)| {
            balancing = now;
            outcome
        });
        let mut said = None;
        let judged = match outcome {
            None => Judged::failed("service task panicked".to_owned()),
            Some(Err(error)) => Judged::failed(cilium_cni::error::chain(&error)),
            Some(Ok(Passed {
                outcome,
                checks,
                found,
            })) => {
                let count = |counter: &std::sync::atomic::AtomicU64, n: usize| {
                    counter.fetch_add(n as u64, Ordering::Relaxed);
                };
                count(&agent.tally.services_updated, outcome.written);
                count(&agent.tally.services_removed, outcome.removed);
                said = found;
                let closed = health_ports.apply(agent.own.ip, checks).await;
                Judged::of(outcome, closed)
            }
        };
        if judged.filled {
            agent.filled("services");
        }
        if judged.compared {
            agent.services_are_updated(Moment::now());
        }
        let problem = judged.problem;
        pause = if problem.is_none() { REPAIR } else { RETRY };
        agent.ran("services", began, problem);
        // Last: who waits for Services does not wait for an API server that takes its time with events.
        if let Some(found) = said {
            obstacles.tell(&agent, found).await;
        }
    }
}

/// A Service without its slices would refuse connections that work now, and one that names an address of a node that is not known
/// yet would get what an earlier agent refused it.
fn knows_enough(watched: &Watched) -> bool {
    let services = watched.services.synced() && watched.slices.synced();
    services && watched.pods.synced() && watched.nodes.synced()
}

/// What is said of one look.
///
/// A Service that is refused and a port that somebody else holds are that Service's problem: a load balancer that sends every
/// Service's connections here is not told to stay away for it.
#[derive(Debug, PartialEq, Eq)]
struct Judged {
    /// Every Service was compared with the datapath.
    compared: bool,
    /// And each of them is there.
    filled: bool,
    problem: Option<String>,
}

impl Judged {
    fn failed(problem: String) -> Self {
        Self {
            compared: false,
            filled: false,
            problem: Some(problem),
        }
    }

    /// `closed` says that a health check port could not be opened.
    fn of(outcome: Outcome, closed: Option<String>) -> Self {
        Self {
            compared: true,
            filled: outcome.failures.is_empty(),
            problem: outcome.failures.into_iter().next().or(closed),
        }
    }
}

/// What is to be balanced, and what is by what was read from the datapath and written to it.
///
/// A cluster with many Services has many changes. To decide everything and read all tables for each of them would take longer than
/// the next one lets wait.
#[derive(Default)]
struct Balancing {
    kept: Kept,
    written: BTreeMap<Frontend, Service>,
    /// When the datapath was read; what somebody else changed is mended as late as without a change.
    read: Option<Instant>,
    /// Of the node, when the datapath was read.
    processes: Processes,
}

impl Balancing {
    fn is_due(&self, now: Instant) -> bool {
        self.read.is_none_or(|read| now - read >= REPAIR)
    }

    /// One look at what is to be, and the changes that follow from it.
    fn pass(
        &mut self,
        watched: &Watched,
        own: Own<'_>,
        datapath: &dyn Datapath,
        now: Instant,
    ) -> Result<Outcome, datapath::Error> {
        let mut touched = self.kept.follow(watched, own);
        if self.is_due(now) {
            self.reread(datapath, now)?;
            touched.extend(self.written.keys());
            touched.extend(self.kept.frontends());
        }
        Ok(self.write(datapath, touched))
    }

    fn reread(&mut self, datapath: &dyn Datapath, now: Instant) -> Result<(), datapath::Error> {
        self.read = None;
        let sorted = datapath.services()?.into_iter().map(|mut service| {
            service.backends.sort();
            (service.frontend, service)
        });
        self.written = sorted.collect();
        self.read = Some(now);
        Ok(())
    }

    /// Compares what is `touched`, and nothing else.
    fn write(&mut self, datapath: &dyn Datapath, touched: BTreeSet<Frontend>) -> Outcome {
        let (mut current, mut desired) = (BTreeMap::new(), BTreeMap::new());
        for frontend in touched {
            current.extend(self.written.remove_entry(&frontend));
            if let Some((_, service)) = self.kept.at(&frontend) {
                desired.insert(frontend, service.clone());
            }
        }
        let writer = Writer {
            upsert: Box::new(|frontend, service| {
                let written = said(datapath.upsert_service(service));
                written.map_err(|sentence| match self.kept.at(frontend) {
                    Some((claimant, _)) => format!("{claimant}: {sentence}"),
                    None => sentence,
                })
            }),
            remove: Box::new(|frontend| said(datapath.remove_service(*frontend))),
        };
        let outcome = difference::apply(&mut current, &desired, true, writer);
        self.written.append(&mut current);
        if !outcome.failures.is_empty() {
            // What was refused may be there in part.
            self.read = None;
        }
        outcome
    }
}

/// What follows from one look.
struct Passed {
    outcome: Outcome,
    checks: BTreeMap<u16, HealthCheck>,
    /// What stands in the way of Services, when the node was looked at.
    found: Option<BTreeSet<Obstacle>>,
}

fn pass(agent: &Agent, balancing: &mut Balancing) -> Result<Passed, datapath::Error> {
    let now = Instant::now();
    let addresses = [agent.own.ip, agent.own.router];
    let looked = balancing.is_due(now).then(sockets).and_then(|sockets| {
        let failed = |error| tracing::warn!(%error, "Cannot read the node's sockets");
        sockets.map_err(failed).ok()
    });
    if let Some(sockets) = &looked {
        balancing.processes = processes(sockets, addresses);
    }
    let reserved = agent.reserve(reserved(agent, addresses, balancing.processes.clone()));
    let node = agent.watched.nodes.get("", &agent.own.name);
    let own = Own::of(&agent.own, node.as_deref(), &reserved);
    let outcome = balancing.pass(&agent.watched, own, &*agent.datapath, now)?;
    let found = looked.map(|sockets| obstacles(&balancing.kept, &sockets, own.ip));
    Ok(Passed {
        outcome,
        checks: balancing.kept.health_checks(),
        found,
    })
}

fn reserved(agent: &Agent, own: [Ipv4Addr; 2], processes: Processes) -> Reserved {
    let nodes = agent.watched.nodes.list();
    // The API server's are there; no other has to be looked at.
    let slices = agent.watched.slices.of_namespace("default");
    Reserved::of(
        nodes.iter().map(AsRef::as_ref),
        own,
        slices.iter().map(AsRef::as_ref),
        agent.kubernetes.server(),
        processes,
    )
}

fn obstacles(kept: &Kept, sockets: &Sockets, node: Ipv4Addr) -> BTreeSet<Obstacle> {
    let taken = taken(kept, sockets, node).into_iter();
    let refused = kept.refused().into_iter();
    let taken = taken.map(|sentence| (IN_USE, sentence));
    taken
        .chain(refused.map(|sentence| (REFUSED, sentence)))
        .collect()
}

#[cfg(test)]
mod tests;
