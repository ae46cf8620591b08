//! Services into the datapath.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use datapath::{Datapath, Frontend, Service};

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::difference::{self, Outcome, Writer, said};
use crate::kubernetes::Watched;
use crate::moment::Moment;
use crate::services::{HealthCheck, Kept, Own, taken};
use crate::task::health_ports::HealthPorts;
use crate::task::taken_ports::{TakenPorts, sockets};
use crate::task::{REPAIR, RETRY};

pub async fn run(agent: Arc<Agent>, bell: Bell) {
    let mut pause = RETRY;
    let mut balancing = Balancing::default();
    let mut health_ports = HealthPorts::default();
    let mut taken_ports = TakenPorts::default();
    loop {
        bell.wait(pause).await;
        // A service without its slices would refuse connections that work now.
        let watched = &agent.watched;
        if !watched.services.synced() || !watched.slices.synced() || !watched.pods.synced() {
            continue;
        }
        let worker = agent.clone();
        let mut now = std::mem::take(&mut balancing);
        let passed = blocking(move || (pass(&worker, &mut now), now)).await;
        // After a panic everything is read and decided anew.
        let outcome = passed.map(|(outcome, now)| {
            balancing = now;
            outcome
        });
        let judged = match outcome {
            None => Judged::failed("service task panicked".to_owned()),
            Some(Err(error)) => Judged::failed(cilium_cni::error::chain(&error)),
            Some(Ok(Passed {
                outcome,
                checks,
                taken,
            })) => {
                let count = |counter: &std::sync::atomic::AtomicU64, n: usize| {
                    counter.fetch_add(n as u64, Ordering::Relaxed);
                };
                count(&agent.tally.services_updated, outcome.written);
                count(&agent.tally.services_removed, outcome.removed);
                if let Some(taken) = taken {
                    taken_ports.tell(&agent, taken).await;
                }
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
        agent.report("services", problem);
    }
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
}

impl Balancing {
    /// One look at what is to be, and the changes that follow from it.
    fn pass(
        &mut self,
        watched: &Watched,
        own: Own<'_>,
        datapath: &dyn Datapath,
        now: Instant,
    ) -> Result<Outcome, datapath::Error> {
        let mut touched = self.kept.follow(watched, own);
        if self.read.is_none_or(|read| now - read >= REPAIR) {
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
    /// Ports that a process has as well, when the node was looked at.
    taken: Option<BTreeSet<String>>,
}

fn pass(agent: &Agent, balancing: &mut Balancing) -> Result<Passed, datapath::Error> {
    let node = agent.watched.nodes.get("", &agent.own.name);
    let own = Own::of(&agent.own, node.as_deref());
    let now = Instant::now();
    let outcome = balancing.pass(&agent.watched, own, &*agent.datapath, now)?;
    let kept = &balancing.kept;
    let sockets = (balancing.read == Some(now)).then(sockets).transpose();
    let sockets = sockets.unwrap_or_else(|error| {
        tracing::warn!(%error, "Cannot read the node's sockets");
        None
    });
    let taken = sockets.map(|sockets| taken(kept, &sockets, own.ip));
    Ok(Passed {
        outcome,
        checks: kept.health_checks(),
        taken,
    })
}

#[cfg(test)]
mod tests;
