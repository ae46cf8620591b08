//! Hubble's metrics: flows counted by what the configuration asks for.
//!
//! Every event is counted as it is recorded, without making its flow: only what a metric's labels say is looked up. No traffic can
//! fill the memory of a node: a metric has a limit of series, and those of a pod that is gone go after it.

mod rows;
mod seen;
mod table;

use std::time::Instant;

use cilium_api::HubbleMetric;
use cilium_api::hubble_metrics::MetricName;

use crate::{event::PacketEvent, flow::Parties, names::Names};
pub use rows::{Row, label_names, rows};
pub use seen::Seen;
use table::Table;
pub use table::{KEPT, SERIES};

/// A pod that series tell of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
}

/// A metric with its series, as they are at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// Behind `hubble_` and before `_total`.
    pub name: &'static str,
    pub help: &'static str,
    pub labels: Vec<&'static str>,
    /// The values of the labels, and the count; in order.
    pub series: Vec<(Vec<String>, u64)>,
    /// What there was no room for.
    pub uncounted: u64,
}

/// What is counted on a node.
#[derive(Debug)]
pub struct Metrics(Vec<(HubbleMetric, Table)>);

impl Metrics {
    pub fn new(metrics: Vec<HubbleMetric>) -> Self {
        let tables = metrics.into_iter().map(|metric| (metric, Table::default()));
        Self(tables.collect())
    }

    /// Counts an event.
    pub fn saw(&self, event: &PacketEvent, parties: &Parties, names: &dyn Names) {
        if self.0.is_empty() {
            return;
        }
        let seen = Seen::of(event, parties, names);
        for (metric, table) in &self.0 {
            for row in rows(metric, &seen) {
                table.count(row, &seen);
            }
        }
    }

    /// Every metric, in the order of the configuration.
    pub fn families(&self) -> Vec<Family> {
        let families = self.0.iter().map(|(metric, table)| {
            let (name, help) = title(metric.name);
            Family {
                name,
                help,
                labels: label_names(metric),
                series: table.list(),
                uncounted: table.uncounted(),
            }
        });
        families.collect()
    }

    /// Lets go of the series of pods that have not been there for [`KEPT`]. To be called now and then, also when none is gone: one
    /// that is back is kept.
    pub fn forget(&self, now: Instant, is_there: impl Fn(&Pod) -> bool) {
        for (_, table) in &self.0 {
            table.forget(now, &is_there);
        }
    }
}

fn title(name: MetricName) -> (&'static str, &'static str) {
    match name {
        MetricName::Drop => ("drop", "Packets dropped, by reason"),
        MetricName::Flow => ("flows_processed", "Flows, by what became of them"),
        MetricName::FlowsToWorld => ("flows_to_world", "Flows to the outside of the cluster"),
        MetricName::Icmp => ("icmp", "ICMP messages, by type"),
        MetricName::PortDistribution => ("port_distribution", "Flows, by the destination's port"),
        MetricName::Tcp => ("tcp_flags", "TCP flags that were seen"),
    }
}

#[cfg(test)]
mod tests;
