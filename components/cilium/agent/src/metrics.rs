//! Metrics with Cilium's names, so that its dashboards and alerts work unchanged.

mod bpf;
pub mod calls;
mod cluster_health;
mod events;
mod hubble;
mod policy;
mod process;
mod snapshot;
pub mod timings;
mod traffic;
mod troubles;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::health::{Phase, Progress};
use crate::metrics::calls::Calls;
use crate::metrics::snapshot::Snapshot;

/// Seconds; ADD aims at milliseconds.
const API_BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiCall {
    method: String,
    path: String,
    return_code: String,
}

type ApiTimes = Family<ApiCall, Histogram, fn() -> Histogram>;

#[derive(Debug)]
pub struct Metrics {
    registry: Mutex<Registry>,
    api: ApiTimes,
    calls: Calls,
    progress: Progress,
}

impl Metrics {
    pub fn new(progress: Progress) -> Arc<Self> {
        let mut registry = Registry::with_prefix("cilium");
        let api: ApiTimes = Family::new_with_constructor(|| Histogram::new(API_BUCKETS));
        registry.register(
            "agent_api_process_time_seconds",
            "Time to answer a request on the agent's socket",
            api.clone(),
        );
        let calls = Calls::default();
        calls.register(&mut registry);
        registry.register_collector(Box::new(process::Process));
        registry.register_collector(Box::new(troubles::Troubles));
        Arc::new(Self {
            registry: Mutex::new(registry),
            api,
            calls,
            progress,
        })
    }

    /// Where requests to the API server are counted.
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) fn observe_api(&self, method: &str, path: &str, code: u16, took: Duration) {
        let call = ApiCall {
            method: method.to_owned(),
            path: path.to_owned(),
            return_code: code.to_string(),
        };
        self.api.get_or_create(&call).observe(took.as_secs_f64());
    }

    /// The exposition in OpenMetrics text. What depends on the node is read at this moment.
    pub(crate) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(
            &mut text,
            &self.registry.lock().unwrap_or_else(PoisonError::into_inner),
        )?;
        let mut registry = Registry::default();
        if let Phase::Serving(agent) = self.progress.phase() {
            let cilium = registry.sub_registry_with_prefix("cilium");
            cilium.register_collector(Box::new(Snapshot::take(&agent)));
            agent.timings.register(cilium);
            if let Some(observer) = agent.flows.get() {
                let counted = Box::new(hubble::Hubble::take(observer));
                let hubble = registry.sub_registry_with_prefix("hubble");
                hubble.register_collector(counted);
            }
        }
        // Two registries make one exposition: only the last may end it.
        let body = text.strip_suffix("# EOF\n").unwrap_or(&text).to_owned();
        let mut second = String::new();
        encode(&mut second, &registry)?;
        let mut whole = body;
        write!(whole, "{second}")?;
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_agent_serves_there_are_already_whole_metrics() {
        let metrics = Metrics::new(Progress::default());
        metrics.observe_api("PUT", "/v1/endpoint", 201, Duration::from_millis(3));
        let text = metrics.text().unwrap();
        assert!(
            text.contains("cilium_process_resident_memory_bytes "),
            "{text}"
        );
        assert!(
            text.contains(r#"cilium_agent_api_process_time_seconds_bucket{le="0.005",method="PUT",path="/v1/endpoint",return_code="201"} 1"#),
            "{text}"
        );
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.ends_with("# EOF\n"));
    }
}
