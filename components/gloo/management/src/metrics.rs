//! What Prometheus is told, under the names Gloo's dashboards ask for.

use std::time::Duration;

use gloo_api::{Approval, ClusterName};
use gloo_relay::{enrolment::EnrolError, proto::refused::Code};
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{failed, shared::Shared};

const BUCKETS: [f64; 10] = [0.001, 0.005, 0.02, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 80.0];

/// Attempts to enrol with a token that is not accepted. The name they ask for is anybody's word, and no label.
#[derive(Clone, Debug)]
pub struct RefusedEnrolments(Family<[(&'static str, &'static str); 1], Counter>);

impl Default for RefusedEnrolments {
    fn default() -> Self {
        let family = Family::default();
        // There from the beginning: an increase from nothing is none.
        for why in [
            EnrolError::Wrong,
            EnrolError::Expired,
            EnrolError::Reused,
            EnrolError::OtherCluster,
        ] {
            let _: &Counter = &family.get_or_create(&[("reason", reason(why))]);
        }
        Self(family)
    }
}

impl RefusedEnrolments {
    pub fn count(&self, why: EnrolError) {
        self.0.get_or_create(&[("reason", reason(why))]).inc();
    }
}

const fn reason(why: EnrolError) -> &'static str {
    match why {
        EnrolError::Wrong => "wrong",
        EnrolError::Expired => "expired",
        EnrolError::Reused => "reused",
        EnrolError::OtherCluster => "other_cluster",
    }
}

/// Why an agent is not served until somebody does something; `None`: it asks again, and that is all.
const fn lasting(why: Code) -> Option<&'static str> {
    match why {
        Code::Version => Some("version"),
        Code::Fenced => Some("fenced"),
        Code::Revoked => Some("revoked"),
        Code::UnknownCluster => Some("unknown_cluster"),
        Code::Protocol => Some("protocol"),
        Code::ClusterUid => Some("cluster_uid"),
        // Who has no room is told by gloo_mesh_snapshot_refused.
        Code::Unspecified | Code::Busy | Code::Closing | Code::Full => None,
    }
}

/// What is counted as it happens.
#[derive(Debug)]
pub struct Metrics {
    translation: Histogram,
    reconciler: Histogram,
    pub redis_errors: Counter,
    pub refused_entries: Counter,
    pub refused_enrolments: RefusedEnrolments,
    refused_streams: Family<[(&'static str, String); 2], Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            translation: Histogram::new(BUCKETS),
            reconciler: Histogram::new(BUCKETS),
            redis_errors: Counter::default(),
            refused_entries: Counter::default(),
            refused_enrolments: RefusedEnrolments::default(),
            refused_streams: Family::default(),
        }
    }
}

type Cluster = Family<[(&'static str, String); 1], Gauge>;

impl Metrics {
    pub fn translated(&self, translation: Duration, whole: Duration) {
        self.translation.observe(translation.as_secs_f64());
        self.reconciler.observe(whole.as_secs_f64());
    }

    /// An agent is not served. The name stands in a certificate of ours, so there are as many as were registered.
    pub fn refused(&self, cluster: &ClusterName, why: Code) {
        if let Some(reason) = lasting(why) {
            let labels = [
                ("cluster", cluster.to_string()),
                ("reason", reason.to_owned()),
            ];
            self.refused_streams.get_or_create(&labels).inc();
        }
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
    registry.register(
        "gloo_mesh_relay_refused_enrolments",
        "Attempts to enrol with a token that is not accepted",
        metrics.refused_enrolments.0.clone(),
    );
    registry.register(
        "gloo_mesh_relay_refused_streams",
        "Streams of agents that were not taken, or ended, for a reason that lasts",
        metrics.refused_streams.clone(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    #[test]
    fn a_refusal_that_lasts_is_counted_by_cluster_and_reason_and_one_that_passes_is_not() {
        let west: ClusterName = "west".parse().unwrap();
        let shared = Shared::new(State::new(west.clone(), true), "server".to_owned());
        for why in [
            Code::Revoked,
            Code::Revoked,
            Code::Closing,
            Code::Busy,
            Code::Full,
        ] {
            shared.metrics.refused(&west, why);
        }
        let text = text(&shared).unwrap();
        let name = "gloo_mesh_relay_refused_streams_total";
        let counted: Vec<&str> = text.lines().filter(|line| line.starts_with(name)).collect();
        let revoked = format!("{name}{{cluster=\"west\",reason=\"revoked\"}} 2");
        assert_eq!(counted, [revoked]);
    }
}
