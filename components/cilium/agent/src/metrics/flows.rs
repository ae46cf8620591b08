//! Which workloads talk with which, under Hubble's name.
//!
//! `hubble_flows_processed_total` with the labels of Hubble's option `labelsContext`: namespaces and workloads of both ends.
//! Counted are requests only, at the node of their destination; dropped ones where they were dropped.

use std::sync::Arc;

use cilium_hubble::observer::Observer;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

#[derive(Debug)]
pub(super) struct Flows(pub(super) Arc<Observer>);

impl Collector for Flows {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let help = "Requests between workloads, by what became of them";
        let mut family =
            encoder.encode_descriptor("flows_processed", help, None, MetricType::Counter)?;
        for (pair, count) in self.0.traffic() {
            let labels = [
                ("source_namespace", pair.source.namespace.as_str()),
                ("source_workload", &pair.source.workload),
                ("destination_namespace", &pair.destination.namespace),
                ("destination_workload", &pair.destination.workload),
                ("verdict", pair.became.word()),
            ];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        let help =
            "Requests between workloads that were not counted, because there are too many pairs";
        let lost = encoder.encode_descriptor("flows_uncounted", help, None, MetricType::Counter)?;
        ConstCounter::new(self.0.traffic_missed()).encode(lost)
    }
}
