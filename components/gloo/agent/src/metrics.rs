//! What Prometheus is told. Made anew for each scrape from the state itself, so that no gauge can be forgotten.

use std::sync::atomic::AtomicU64;

use gloo_relay::client::State;
use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::health::View;

/// The exposition in OpenMetrics text.
pub fn text(view: &View) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::default();
    let status = view.status.borrow().clone();
    let by_state = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for state in State::ALL {
        let now = i64::from(state == status.state);
        by_state
            .get_or_create(&[("state", state.as_str())])
            .set(now);
    }
    registry.register(
        "relay_state",
        "1 for the state the relay client is in",
        by_state,
    );
    let connected = usize::from(status.state == State::Connected);
    gauge(
        &mut registry,
        "relay_connected",
        "1 while the management server serves this agent",
        connected,
    );
    gauge(
        &mut registry,
        "relay_warmed",
        "1 while the server holds all that was observed",
        usize::from(status.warmed),
    );
    observed(view, &mut registry);
    desired(view, &mut registry);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn observed(view: &View, registry: &mut Registry) {
    let (objects, bytes) = {
        let source = view.observed.source();
        let source = source.borrow();
        source
            .as_ref()
            .map_or((0, 0), |source| (source.len(), source.bytes()))
    };
    for (name, help, value) in [
        (
            "gloo_agent_observed_objects",
            "Objects sent to the server",
            objects,
        ),
        ("gloo_agent_observed_bytes", "Bytes of those objects", bytes),
        (
            "gloo_agent_unlisted_kinds",
            "Kinds whose first list is not complete",
            view.observed.unlisted().len(),
        ),
    ] {
        gauge(registry, name, help, value);
    }
}

fn desired(view: &View, registry: &mut Registry) {
    let report = view.report.borrow().clone();
    let held = report.held.as_ref().map_or(0, |(removed, _)| *removed);
    for (name, help, value) in [
        (
            "gloo_agent_desired_objects",
            "Objects the server desires",
            report.desired,
        ),
        (
            "gloo_agent_object_errors",
            "Desired objects that are not as they should be",
            report.errors,
        ),
        (
            "gloo_agent_held_removals",
            "Removals held until they are confirmed",
            held,
        ),
        (
            "gloo_agent_kill_switch",
            "1 while the local switch forbids writes",
            usize::from(report.kill_switch),
        ),
    ] {
        gauge(registry, name, help, value);
    }
    let writes = Counter::<u64, AtomicU64>::default();
    writes.inc_by(report.writes);
    registry.register("gloo_agent_writes", "Writes of desired objects", writes);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    let gauge: Gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}
