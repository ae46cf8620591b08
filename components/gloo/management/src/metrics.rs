//! What Prometheus is told, under the names Gloo's dashboards ask for.

use std::time::Duration;

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{failed, shared::Shared};
use gloo_api::Approval;

const BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 80.0];

/// What is counted as it happens.
#[derive(Debug)]
pub struct Metrics {
    translation: Histogram,
    reconciler: Histogram,
    pub redis_errors: Counter,
    pub refused_entries: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            translation: Histogram::new(BUCKETS),
            reconciler: Histogram::new(BUCKETS),
            redis_errors: Counter::default(),
            refused_entries: Counter::default(),
        }
    }
}

type Cluster = Family<[(&'static str, String); 1], Gauge>;

impl Metrics {
    pub fn translated(&self, translation: Duration, whole: Duration) {
        self.translation.observe(translation.as_secs_f64());
        self.reconciler.observe(whole.as_secs_f64());
    }
}

/// The exposition in OpenMetrics text. Gauges are made from the state itself, so that none can be forgotten.
pub fn text(shared: &Shared) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    let metrics = &shared.metrics;
    registry.register(
        "gloo_mesh_translation_time_sec",
        "Seconds from the input to the output",
        metrics.translation.clone(),
    );
    registry.register(
        "gloo_mesh_reconciler_time_sec",
        "Seconds from the input until the streams have the output",
        metrics.reconciler.clone(),
    );
    registry.register(
        "gloo_mesh_redis_sync_err",
        "Writes to and reads from Redis that failed",
        metrics.redis_errors.clone(),
    );
    registry.register(
        "gloo_mesh_redis_refused_entries",
        "Entries of Redis that nobody with our key made for their place",
        metrics.refused_entries.clone(),
    );
    clusters(shared, &mut registry);
    memory(shared, &mut registry);
    resources(shared, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn clusters(shared: &Shared, registry: &mut Registry) {
    let [push, pull, warmed, objects, held] = [(); 5].map(|()| Cluster::default());
    let state = shared.state();
    for (name, cluster) in &state.clusters {
        if cluster.registration.is_none() {
            continue;
        }
        let label = [("cluster", name.to_string())];
        let connected = i64::from(cluster.connection.is_some());
        let is_warm = cluster.connection.as_ref().is_some_and(|c| c.warmed);
        push.get_or_create(&label).set(connected);
        pull.get_or_create(&label).set(connected);
        warmed.get_or_create(&label).set(i64::from(is_warm));
        let count = i64::try_from(cluster.objects.len()).unwrap_or(i64::MAX);
        objects.get_or_create(&label).set(count);
        let removed = cluster.held.as_ref().map_or(0, |held| held.removed);
        let removed = i64::try_from(removed).unwrap_or(i64::MAX);
        held.get_or_create(&label).set(removed);
    }
    for (name, help, family) in [
        (
            "relay_push_clients_connected",
            "1 while the cluster's agent has a stream here",
            push,
        ),
        (
            "relay_pull_clients_connected",
            "1 while the cluster's agent has a stream here",
            pull,
        ),
        (
            "relay_push_clients_warmed",
            "1 when that agent has sent all it has",
            warmed,
        ),
        (
            "gloo_mesh_snapshot_objects",
            "Objects known of the cluster",
            objects,
        ),
        (
            "gloo_mesh_held_removals",
            "Removals held until somebody confirms them",
            held,
        ),
    ] {
        registry.register(name, help, family);
    }
}

/// Memory that clusters' objects are held to.
fn memory(shared: &Shared, registry: &mut Registry) {
    let (used, refused) = (Cluster::default(), Cluster::default());
    for (name, of) in shared.room.uses() {
        let label = [("cluster", name.to_string())];
        let bytes = of.held.saturating_add(of.arriving);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        used.get_or_create(&label).set(bytes);
        let is_refused = i64::from(of.refused.is_some());
        refused.get_or_create(&label).set(is_refused);
    }
    let budget = Gauge::<i64>::default();
    budget.set(i64::try_from(shared.room.budget()).unwrap_or(i64::MAX));
    registry.register(
        "gloo_mesh_snapshot_memory_bytes",
        "Memory that a cluster's objects take, those that are arriving among them",
        used,
    );
    registry.register(
        "gloo_mesh_snapshot_refused",
        "1 while what the cluster's agent says finds no room in memory; what it said before stays",
        refused,
    );
    registry.register(
        "gloo_mesh_snapshot_memory_budget_bytes",
        "Memory for the objects of all clusters",
        budget,
    );
}

type Resource = Family<[(&'static str, String); 2], Gauge>;

/// Resources that are followed with a warning, and those that are not.
fn resources(shared: &Shared, registry: &mut Registry) {
    let (warnings, errors) = (Resource::default(), Resource::default());
    let state = shared.state();
    let too_large = failed::too_large(&state);
    for (subject, status) in state.translator.statuses() {
        let (place, gvk) = crate::state::subject(subject);
        let label = [("namespace", place.slot.namespace.clone()), ("gvk", gvk)];
        if too_large.contains_key(subject) {
            errors.get_or_create(&label).inc();
            continue;
        }
        match status.state().approval {
            Approval::Warning => drop(warnings.get_or_create(&label).inc()),
            Approval::Invalid | Approval::Failed => drop(errors.get_or_create(&label).inc()),
            Approval::Accepted | Approval::Pending => {}
        }
    }
    for (_, key) in state.unreadable.keys() {
        let gvk = format!("{}/{}", key.api_version(), key.kind());
        let label = [("namespace", key.namespace().to_owned()), ("gvk", gvk)];
        errors.get_or_create(&label).inc();
    }
    registry.register("translation_warning", "Resources with a warning", warnings);
    registry.register(
        "translation_error",
        "Resources that are not followed, or a policy of which could not be made",
        errors,
    );
}
