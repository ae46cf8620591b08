//! Whether the nodes of the cluster reach each other: Cilium's cluster health.
//!
//! Each agent answers the others ([`responder`]) and asks them ([`probe`]), at two addresses of every node: its own, and its router's,
//! which lies on the pod network, and whoever answers at the Service of all agents. [`paths`] decides what follows;
//! `task::cluster_health` keeps it going.

mod echo;
mod hello;
pub mod paths;
pub mod probe;
pub mod responder;
pub mod schedule;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cilium_cni::model::health::HealthStatus;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use self::paths::{Carried, Findings, Paths, Target, Way};
use crate::agent::Own;
use crate::nodes::KnownNode;

/// Shared by those who ask, who answer and who look.
#[derive(Debug)]
pub struct ClusterHealth {
    paths: Mutex<Paths>,
    /// Every address of every node: who is answered.
    nodes: watch::Sender<BTreeSet<Ipv4Addr>>,
    learned: Notify,
    /// Held by who probes everything at once, so that nobody does so beside him.
    pub at_once: tokio::sync::Mutex<()>,
}

impl ClusterHealth {
    pub fn new(own: &Own, began: Timestamp) -> Self {
        Self {
            paths: Mutex::new(Paths::new(&own.name, &own.cluster, began)),
            nodes: watch::Sender::new(BTreeSet::new()),
            learned: Notify::new(),
            at_once: tokio::sync::Mutex::default(),
        }
    }

    /// The nodes of the cluster, this one among them.
    pub fn learn(&self, known: &[KnownNode]) {
        let addresses = known
            .iter()
            .flat_map(|node| [Some(node.ip), node.router])
            .flatten()
            .collect();
        self.nodes.send_replace(addresses);
        self.paths().learn(known, Instant::now());
        self.learned.notify_one();
    }

    /// Who may ask.
    pub fn nodes(&self) -> watch::Receiver<BTreeSet<Ipv4Addr>> {
        self.nodes.subscribe()
    }

    pub fn all(&self) -> Vec<Target> {
        self.paths().all()
    }

    /// Waits until a node is to be probed.
    pub async fn due(&self) -> Vec<Target> {
        loop {
            let (due, next) = {
                let paths = self.paths();
                (paths.due(Instant::now()), paths.next())
            };
            if !due.is_empty() {
                return due;
            }
            let learned = self.learned.notified();
            match next {
                Some(next) => {
                    let _ = tokio::time::timeout_at(next.into(), learned).await;
                }
                None => learned.await,
            }
        }
    }

    pub fn record(&self, target: &Target, found: Findings) {
        self.paths().record(target, found, Instant::now());
    }

    pub fn record_service(&self, answered: Option<bool>) -> Option<Way> {
        self.paths().record_service(answered)
    }

    pub fn carried(&self) -> Carried {
        self.paths().carried()
    }

    pub fn report(&self) -> HealthStatus {
        self.paths().report()
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
