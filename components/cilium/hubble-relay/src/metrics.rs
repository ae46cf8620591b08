//! What Prometheus is told. Made anew for each scrape from the state itself, so that no gauge can be forgotten.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::{
    encoding::text::encode,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::{
    pool::{Node, State},
    service::Relay,
};

/// The states a connection has in upstream's metric, whether or not one here can have them.
const STATUSES: [&str; 6] = [
    "CONNECTING",
    "IDLE",
    "NIL_CONNECTION",
    "READY",
    "SHUTDOWN",
    "TRANSIENT_FAILURE",
];

/// The exposition in OpenMetrics text.
pub fn text(relay: &Relay) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("hubble_relay");
    nodes(relay, &mut registry);
    let told = relay.told.borrow().clone();
    for (name, help, value) in [
        (
            "peer_service_connected",
            "1 while an agent tells which nodes there are",
            usize::from(told.ever && told.error.is_none()),
        ),
        (
            "stream_places_free",
            "Streams that may be opened besides those that are open",
            relay.streams.available_permits(),
        ),
        (
            "flow_places_free",
            "Flows that may be kept back for clients who ask for the last ones",
            relay.settings.budget.free(),
        ),
    ] {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    }
    let answers = Counter::<u64, AtomicU64>::default();
    answers.inc_by(relay.answered.load(Ordering::Relaxed));
    let help = "Flows and events that clients were answered with";
    registry.register("answers", help, answers);
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text)
}

fn nodes(relay: &Relay, registry: &mut Registry) {
    let by_status = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    for status in STATUSES {
        by_status.get_or_create(&[("status", status)]).set(0);
    }
    for node in relay.nodes.borrow().values() {
        by_status.get_or_create(&[("status", status(node))]).inc();
    }
    registry.register(
        "pool_peer_connection_status",
        "Nodes by the state of the connection to them",
        by_status,
    );
}

fn status(node: &Node) -> &'static str {
    match &node.state {
        State::Connected(_) => "READY",
        State::Connecting => "CONNECTING",
        State::Unavailable(_) if node.peer.address.is_empty() => "NIL_CONNECTION",
        State::Unavailable(_) => "TRANSIENT_FAILURE",
    }
}
