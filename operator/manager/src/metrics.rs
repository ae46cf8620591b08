//! What Prometheus reads. The names are those that `dashboards/metrics.toml` lists.

use std::sync::atomic::AtomicU64;

use gloonet_api::{GlooNetworkStatus, status::ComponentHealth};
use gloonet_catalog::{ComponentId, ProbeOutcome, ProbeResult};
use gloonet_cluster::Meter;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

const STATES: [ComponentHealth; 5] = [
    ComponentHealth::Healthy,
    ComponentHealth::Progressing,
    ComponentHealth::Waiting,
    ComponentHealth::Degraded,
    ComponentHealth::Unknown,
];
/// USER_HZ, the unit of times in /proc/PID/stat, is 100 on every Linux the operator is built for (proc_pid_stat(5)).
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE: i64 = 4096;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Health {
    component: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    component: String,
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    verb: String,
    resource: String,
    code: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Probed {
    component: String,
    probe: String,
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Measured {
    component: String,
    probe: String,
    target: String,
    value: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Result {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
}

/// All metrics of the operator.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    health: Family<Health, Gauge>,
    applies: Family<Written, Counter>,
    requests: Family<Asked, Counter>,
    probes: Family<Probed, Gauge>,
    values: Family<Measured, Gauge<f64, AtomicU64>>,
    reconciles: Family<Result, Counter>,
    durations: Histogram,
    leader: Gauge,
    cpu: Counter<f64, AtomicU64>,
    memory: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::default(),
            health: Family::default(),
            applies: Family::default(),
            requests: Family::default(),
            probes: Family::default(),
            values: Family::default(),
            reconciles: Family::default(),
            durations: Histogram::new(exponential_buckets(0.001, 2.0, 15)),
            leader: Gauge::default(),
            cpu: Counter::default(),
            memory: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "gloonet_component_health",
            "1 for the state a component is in, 0 for the others",
            self.health.clone(),
        );
        registry.register(
            "gloonet_applies",
            "Writes of operands by result",
            self.applies.clone(),
        );
        registry.register(
            "gloonet_api_requests",
            "Requests to the API server; code 0 is no answer",
            self.requests.clone(),
        );
        registry.register(
            "gloonet_probe_success",
            "1 when the last measurement worked",
            self.probes.clone(),
        );
        registry.register(
            "gloonet_probe_value",
            "What the last measurement found",
            self.values.clone(),
        );
        registry.register(
            "gloonet_reconciles",
            "Reconciles by result",
            self.reconciles.clone(),
        );
        registry.register(
            "gloonet_reconcile_duration_seconds",
            "Time one reconcile took",
            self.durations.clone(),
        );
        registry.register(
            "gloonet_leader",
            "1 when this replica works",
            self.leader.clone(),
        );
        registry.register("process_cpu_seconds", "CPU time used", self.cpu.clone());
        registry.register(
            "process_resident_memory_bytes",
            "Resident memory",
            self.memory.clone(),
        );
        let build: Family<Build, Gauge> = Family::default();
        build
            .get_or_create(&Build {
                version: env!("CARGO_PKG_VERSION"),
            })
            .set(1);
        registry.register("gloonet_build_info", "Version of this program", build);
    }

    /// Everything in the text format of OpenMetrics.
    pub(crate) fn text(&self) -> String {
        self.process();
        let mut text = String::new();
        // Writing into a String cannot fail.
        let encoded = encode(&mut text, &self.registry);
        debug_assert!(encoded.is_ok());
        text
    }

    pub(crate) fn leads(&self, yes: bool) {
        self.leader.set(i64::from(yes));
    }

    pub(crate) fn reconciled(&self, good: bool, seconds: f64) {
        self.reconciles
            .get_or_create(&Result {
                result: if good { "ok" } else { "error" },
            })
            .inc();
        self.durations.observe(seconds);
    }

    pub(crate) fn wrote(&self, results: &[(String, &'static str)]) {
        for (component, result) in results {
            self.applies
                .get_or_create(&Written {
                    component: component.clone(),
                    result: (*result).to_owned(),
                })
                .inc();
        }
    }

    pub(crate) fn told(&self, status: &GlooNetworkStatus) {
        self.health.clear();
        for row in &status.components {
            for state in STATES {
                let labels = Health {
                    component: row.name.clone(),
                    state: state.as_str(),
                };
                self.health
                    .get_or_create(&labels)
                    .set(i64::from(row.health == state));
            }
        }
    }

    pub(crate) fn probed<'a>(
        &self,
        results: impl Iterator<Item = (&'a ComponentId, &'a Vec<ProbeResult>)>,
    ) {
        self.probes.clear();
        self.values.clear();
        for (component, result) in
            results.flat_map(|(id, all)| all.iter().map(move |one| (id.to_string(), one)))
        {
            let (probe, target) = (result.probe.clone(), result.target.clone());
            let good = matches!(result.outcome, ProbeOutcome::Answered { .. });
            if !matches!(result.outcome, ProbeOutcome::NoTarget) {
                let labels = Probed {
                    component: component.clone(),
                    probe: probe.clone(),
                    target: target.clone(),
                };
                self.probes.get_or_create(&labels).set(i64::from(good));
            }
            if let ProbeOutcome::Answered { values } = &result.outcome {
                for (name, value) in values {
                    let labels = Measured {
                        component: component.clone(),
                        probe: probe.clone(),
                        target: target.clone(),
                        value: name.clone(),
                    };
                    self.values.get_or_create(&labels).set(*value);
                }
            }
        }
    }

    fn process(&self) {
        let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
            return;
        };
        // The program's name, in parentheses, may hold spaces; fields 14, 15 and 24 count from 1 (proc_pid_stat(5)).
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        let field = |number: usize| {
            fields
                .get(number - 3)
                .and_then(|text| text.parse::<u32>().ok())
                .unwrap_or_default()
        };
        let seconds = (f64::from(field(14)) + f64::from(field(15))) / TICKS_PER_SECOND;
        self.cpu.inc_by((seconds - self.cpu.get()).max(0.0));
        self.memory.set(i64::from(field(24)) * PAGE);
    }
}

impl Meter for Metrics {
    fn request(&self, verb: &str, resource: &str, code: u16) {
        let labels = Asked {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            code: u32::from(code),
        };
        self.requests.get_or_create(&labels).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_the_dashboards_name_is_exported() {
        let metrics = Metrics::new();
        metrics.request("get", "leases", 200);
        metrics.wrote(&[("redis".to_owned(), "created")]);
        metrics.reconciled(true, 0.1);
        let row = serde_json::json!({"components": [{"name": "redis", "state": "Managed", "health": "Healthy"}]});
        metrics.told(&serde_json::from_value(row).unwrap());
        let result = ProbeResult {
            probe: "read-write".to_owned(),
            target: "a/b".to_owned(),
            outcome: ProbeOutcome::Answered {
                values: [("used_memory".to_owned(), 1.0)].into(),
            },
        };
        metrics.probed([(&ComponentId::Redis, &vec![result])].into_iter());
        let text = metrics.text();
        let list = include_str!("../../../dashboards/metrics.toml");
        let section = list
            .split("[exporters.gloonet-operator]")
            .nth(1)
            .unwrap()
            .split(']')
            .next()
            .unwrap();
        let names: Vec<_> = section
            .split('"')
            .filter(|part| part.starts_with("gloonet_") || part.starts_with("process_"))
            .collect();
        assert!(names.len() > 8, "{names:?}");
        for name in names {
            assert!(
                text.contains(&format!("\n{name}")) || text.starts_with(name),
                "{name} is missing in\n{text}"
            );
        }
        let (_, labels) = list.split_once("\n[labels]\n").unwrap();
        for line in labels.lines().filter(|line| line.starts_with("gloonet_")) {
            let (name, of_it) = line.split_once(" = ").unwrap();
            let series = text
                .lines()
                .find(|one| one.starts_with(&format!("{name}{{")));
            let shown = series
                .unwrap()
                .split(['{', ','])
                .filter_map(|part| part.split_once("=\""));
            let mut shown: Vec<&str> = shown.map(|(label, _)| label).collect();
            shown.sort_unstable();
            let of_it: Vec<&str> = of_it.split('"').skip(1).step_by(2).collect();
            assert_eq!(shown, of_it, "{name}");
        }
        assert!(
            text.contains("gloonet_component_health{component=\"redis\",state=\"Healthy\"} 1"),
            "{text}"
        );
        assert!(metrics.memory.get() > 1_000_000);
    }
}
