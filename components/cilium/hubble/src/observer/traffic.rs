//! Which workloads talk with which, counted for metrics.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    event::{Kind, PacketEvent},
    flow::Parties,
    names::Endpoint,
};

/// Delivered to an endpoint, in Cilium's numbers of observation points.
const TO_ENDPOINT: u8 = 0;
/// Pairs that are counted apart. More are counted as missed, so that no traffic can fill the memory of a node.
const PAIRS: usize = 10_000;

/// Pods of one workload.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Side {
    pub namespace: String,
    pub workload: String,
}

/// What became of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Became {
    Forwarded,
    Dropped,
}

impl Became {
    /// As Hubble's metrics write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Forwarded => "FORWARDED",
            Self::Dropped => "DROPPED",
        }
    }
}

/// Who asked whom, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    pub source: Side,
    pub destination: Side,
    pub became: Became,
}

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pairs: Mutex<HashMap<Pair, u64>>,
    missed: AtomicU64,
}

impl Traffic {
    /// Counts what a client sent to an endpoint of this node, and what was dropped on the way. Answers are not counted: the
    /// question is who may ask.
    pub(super) fn saw(&self, event: &PacketEvent, parties: &Parties) {
        let became = match event.kind {
            Kind::Trace { point: TO_ENDPOINT } => Became::Forwarded,
            Kind::Drop { .. } => Became::Dropped,
            _ => return,
        };
        if event.is_reply == Some(true) {
            return;
        }
        let sides = |side: &Option<_>| side.as_deref().and_then(side_of);
        let (Some(source), Some(destination)) =
            (sides(&parties.source), sides(&parties.destination))
        else {
            return;
        };
        let pair = Pair {
            source,
            destination,
            became,
        };
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pairs.get_mut(&pair) {
            *count += 1;
        } else if pairs.len() < PAIRS {
            pairs.insert(pair, 1);
        } else {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn list(&self) -> Vec<(Pair, u64)> {
        let pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list: Vec<_> = pairs
            .iter()
            .map(|(pair, count)| (pair.clone(), *count))
            .collect();
        list.sort();
        list
    }

    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

fn side_of(endpoint: &Endpoint) -> Option<Side> {
    let workload = endpoint.workloads.first()?;
    Some(Side {
        namespace: endpoint.namespace.clone(),
        workload: workload.name.clone(),
    })
}
