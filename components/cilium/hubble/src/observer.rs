//! The events of a node: recorded by one writer, read by anybody.

mod entry;
mod namespaces;
pub mod request;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use cilium_api::HubbleMetric;

use crate::{
    event::{Lost, LostAt, PacketEvent},
    export::Counts,
    flow::{Origin, Parties},
    metrics::Metrics,
    names::{Names, Node},
    proto::flow::AgentEvent,
    ring::{self, Capacity, Read, Ring, RingWriter},
};

pub use entry::{Content, Entry};
use namespaces::Namespaces;
pub use namespaces::SeenNamespace;

const MINUTE: i64 = 60_000_000_000;

/// What an observer is told about itself.
#[derive(Clone, Debug)]
pub struct Config {
    pub capacity: Capacity,
    pub node: Node,
    pub node_labels: Vec<String>,
    /// The version whose formats are kept, `1.20.2`; clients compare it with their own.
    pub version: String,
    pub metrics: Vec<HubbleMetric>,
}

/// The reading side of what happens on a node.
pub struct Observer {
    ring: Arc<Ring<Entry>>,
    names: Arc<dyn Names>,
    node: Node,
    origin: Origin,
    nonce: u128,
    started: Instant,
    flows: AtomicU64,
    kernel_losses: AtomicU64,
    queue_losses: AtomicU64,
    ring_losses: AtomicU64,
    namespaces: Namespaces,
    metrics: Metrics,
    /// Set once flows are written to files.
    exported: OnceLock<Counts>,
}

/// The writing side. There is one per observer.
pub struct Writer {
    ring: RingWriter<Entry>,
    observer: Arc<Observer>,
}

/// Makes an observer and its only writer.
pub fn new(config: Config, names: Arc<dyn Names>) -> (Arc<Observer>, Writer) {
    let (ring, writer) = ring::new(config.capacity);
    let observer = Arc::new(Observer {
        ring,
        names,
        origin: Origin {
            node: config.node.absolute(),
            node_labels: config.node_labels,
            version: config.version,
        },
        node: config.node,
        nonce: entry::nonce(),
        started: Instant::now(),
        flows: AtomicU64::new(0),
        kernel_losses: AtomicU64::new(0),
        queue_losses: AtomicU64::new(0),
        ring_losses: AtomicU64::new(0),
        namespaces: Namespaces::default(),
        metrics: Metrics::new(config.metrics),
        exported: OnceLock::new(),
    });
    let writer = Writer {
        ring: writer,
        observer: Arc::clone(&observer),
    };
    (observer, writer)
}

impl Writer {
    /// Records what happened to a packet. Only the two parties are looked up; the flow is made when somebody reads it.
    pub fn packet(&mut self, event: PacketEvent) {
        let observer = &self.observer;
        let parties = Parties::of(&event, &*observer.names);
        observer.namespaces.saw(&parties, event.time);
        observer.metrics.saw(&event, &parties, &*observer.names);
        self.ring
            .write(|number| Entry::packet(number, event, parties));
        observer.flows.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that events were lost before they came here.
    pub fn lost(&mut self, lost: Lost) {
        let losses = match lost.place {
            LostAt::KernelBuffer => &self.observer.kernel_losses,
            LostAt::Queue => &self.observer.queue_losses,
        };
        losses.fetch_add(lost.count, Ordering::Relaxed);
        self.ring.write(|number| Entry::lost(number, lost));
    }

    /// Records what the agent did.
    pub fn agent(&mut self, time: i64, event: AgentEvent) {
        self.ring.write(|number| Entry::agent(number, time, event));
    }
}

impl Observer {
    /// The ring itself, for readers with their own order.
    pub fn ring(&self) -> &Ring<Entry> {
        &self.ring
    }

    /// The node's name as flows have it.
    pub fn node_name(&self) -> &str {
        &self.origin.node
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The version whose formats are kept.
    pub fn version(&self) -> &str {
        &self.origin.version
    }

    /// How many flows were recorded since the start.
    pub fn seen_flows(&self) -> u64 {
        self.flows.load(Ordering::Relaxed)
    }

    /// How many events readers missed because the ring went over them.
    pub fn ring_losses(&self) -> u64 {
        self.ring_losses.load(Ordering::Relaxed)
    }

    /// How many events were lost since the start, by where, in the words of Hubble's metrics.
    pub fn losses(&self) -> [(&'static str, u64); 3] {
        let read = |losses: &AtomicU64| losses.load(Ordering::Relaxed);
        [
            ("perf_event_ring_buffer", read(&self.kernel_losses)),
            ("observer_events_queue", read(&self.queue_losses)),
            ("hubble_ring_buffer", self.ring_losses()),
        ]
    }

    pub fn uptime(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Flows per second over the last minute before `now`, or over what the ring holds when that is less.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    pub fn flow_rate(&self, now: i64) -> f64 {
        let (oldest, newest) = (self.ring.oldest(), self.ring.next());
        let mut since = now - MINUTE;
        let (mut flows, mut first) = (0u64, None);
        for number in (oldest..newest).rev() {
            let Read::Event(entry) = self.ring.read(number) else {
                break;
            };
            if !matches!(entry.content(), Content::Packet(_)) {
                continue;
            }
            if entry.time() < since {
                return flows as f64 / 60.0;
            }
            (flows, first) = (flows + 1, Some(entry.time()));
        }
        if oldest > 0
            && let Some(first) = first
        {
            since = first;
        }
        let seconds = (now - since) as f64 / 1e9;
        if seconds > 0.0 {
            flows as f64 / seconds
        } else {
            0.0
        }
    }

    /// The namespaces that had flows in the hour before `now`, by name.
    pub fn namespaces(&self, now: i64) -> Vec<SeenNamespace> {
        self.namespaces.list(&self.node.cluster, now)
    }

    /// What is counted for metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What became of flows that are written to files; `None` while nobody writes any.
    pub fn exported(&self) -> Option<&Counts> {
        self.exported.get()
    }

    pub(crate) fn count_exported(&self) -> &Counts {
        self.exported.get_or_init(Counts::default)
    }

    fn missed(&self, count: u64) {
        self.ring_losses.fetch_add(count, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer")
            .field("node", &self.origin.node)
            .field("flows", &self.flows)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("observer", &self.observer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
