//! Metrics that agents can count: one that refuses its configuration does not start, and its node's new pods get no network.

use cilium_api::HubbleMetric;
use gloonet_api::GlooNetworkSpec;

use super::Refusal;

const METRICS: &str = "cilium.hubble.metrics";

pub(super) fn metrics(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    let entries = &spec.cilium.hubble.metrics;
    let before = refusals.len();
    for (at, entry) in entries.iter().enumerate() {
        if let Err(error) = entry.parse::<HubbleMetric>() {
            refusals.push(Refusal::new(&format!("{METRICS}[{at}]"), error));
        }
    }
    if refusals.len() > before {
        return;
    }
    if let Err(error) = HubbleMetric::list(entries.iter().map(String::as_str)) {
        refusals.push(Refusal::new(METRICS, error));
    }
}
