//! How long the agent takes for what pods and administrators wait for.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::cluster_health::paths::Findings;

/// Seconds; what is aimed at lies between a millisecond and a tenth of a second.
const BUCKETS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

/// Upstream's, of the ways between nodes.
const LATENCY_BUCKETS: [f64; 13] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Source {
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Scope {
    scope: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    scope: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    r#type: &'static str,
    protocol: &'static str,
    address_type: &'static str,
}

type Times<L> = Family<L, Histogram, fn() -> Histogram>;

fn times<L: Clone + std::hash::Hash + Eq>() -> Times<L> {
    Family::new_with_constructor(|| Histogram::new(BUCKETS))
}

#[derive(Debug)]
pub struct Timings {
    delay: Times<Source>,
    update: Times<Scope>,
    regeneration: Times<Stage>,
    latency: Times<Way>,
    runs: Family<Status, Counter>,
    run: Times<Status>,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            delay: times(),
            update: times(),
            regeneration: times(),
            latency: Times::new_with_constructor(|| Histogram::new(LATENCY_BUCKETS)),
            runs: Family::default(),
            run: times(),
        }
    }
}

impl Timings {
    /// From when a change of policies was heard of until the datapath enforced it.
    pub fn policy_delay(&self, source: &'static str, took: Duration) {
        self.delay
            .get_or_create(&Source { source })
            .observe(took.as_secs_f64());
    }

    /// One pass over what changed.
    pub fn policy_pass(&self, took: Duration) {
        self.update
            .get_or_create(&Scope { scope: "global" })
            .observe(took.as_secs_f64());
    }

    /// One pass of a part of the agent that runs again and again.
    pub fn ran(&self, well: bool, took: Duration) {
        let status = if well { "success" } else { "failure" };
        let status = Status { status };
        self.runs.get_or_create(&status).inc();
        self.run.get_or_create(&status).observe(took.as_secs_f64());
    }

    /// A new pod, from the request to its datapath.
    pub fn endpoint_made(&self, took: Duration) {
        let stage = Stage {
            scope: "total",
            status: "success",
        };
        self.regeneration
            .get_or_create(&stage)
            .observe(took.as_secs_f64());
    }

    /// How long the addresses of a node took to answer. What failed took no time that could be measured.
    pub fn node_probed(&self, found: &Findings) {
        for (kind, probed) in [
            ("node", Some(&found.host)),
            ("endpoint", found.endpoint.as_ref()),
        ] {
            let Some(probed) = probed else { continue };
            for (protocol, outcome) in
                [("http", Some(&probed.http)), ("icmp", probed.icmp.as_ref())]
            {
                let Some(Ok(took)) = outcome.map(|outcome| &outcome.result) else {
                    continue;
                };
                let way = Way {
                    r#type: kind,
                    protocol,
                    address_type: "primary",
                };
                self.latency.get_or_create(&way).observe(took.as_secs_f64());
            }
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "policy_implementation_delay",
            "Seconds from hearing of a policy to enforcing it",
            self.delay.clone(),
        );
        registry.register(
            "policy_incremental_update_duration",
            "Seconds to bring the datapath's policies up to date",
            self.update.clone(),
        );
        registry.register(
            "endpoint_regeneration_time_stats_seconds",
            "Seconds to make a pod's datapath",
            self.regeneration.clone(),
        );
        registry.register(
            "node_health_connectivity_latency_seconds",
            "Seconds that nodes took to answer a probe",
            self.latency.clone(),
        );
        registry.register(
            "controllers_runs",
            "Passes of the agent's parts, by how they ended",
            self.runs.clone(),
        );
        registry.register(
            "controllers_runs_duration_seconds",
            "Seconds that a pass took, by how it ended",
            self.run.clone(),
        );
    }
}
