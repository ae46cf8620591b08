//! What the watches told.

use super::snapshot::{Metric, counter, read};
use crate::kubernetes::Watched;
use crate::watch::Seen;

type Row = (Vec<(&'static str, String)>, f64);

pub(super) fn events(watched: &Watched) -> Vec<Metric> {
    let kinds = [
        ("Pod", &watched.pods.seen),
        ("Namespace", &watched.namespaces.seen),
        ("Service", &watched.services.seen),
        ("EndpointSlice", &watched.slices.seen),
        ("CiliumNode", &watched.nodes.seen),
        ("CiliumEndpoint", &watched.endpoints.seen),
        ("CiliumIdentity", &watched.identities.seen),
        ("NetworkPolicy", &watched.network_policies.seen),
        ("CiliumNetworkPolicy", &watched.policies.seen),
        (
            "CiliumClusterwideNetworkPolicy",
            &watched.clusterwide_policies.seen,
        ),
        ("CiliumCIDRGroup", &watched.cidr_groups.seen),
    ];
    let events = kinds.iter().flat_map(|(scope, seen)| taken(scope, seen));
    let received = kinds.iter().flat_map(|(scope, seen)| received(scope, seen));
    vec![
        counter(
            "kubernetes_events",
            "Events of the API server",
            events.collect(),
        ),
        counter(
            "kubernetes_events_received",
            "Events of the API server, by whether they could be read and said anything new",
            received.collect(),
        ),
    ]
}

fn taken(scope: &str, seen: &Seen) -> [Row; 4] {
    [
        ("create", "success", read(&seen.created)),
        (
            "update",
            "success",
            read(&seen.updated) + read(&seen.repeated),
        ),
        ("delete", "success", read(&seen.deleted)),
        ("update", "failed", read(&seen.undecodable)),
    ]
    .map(|(action, status, value)| {
        let labels = vec![
            ("scope", scope.to_owned()),
            ("action", action.to_owned()),
            ("status", status.to_owned()),
        ];
        (labels, value)
    })
}

fn received(scope: &str, seen: &Seen) -> [Row; 5] {
    [
        ("create", true, false, &seen.created),
        ("update", true, false, &seen.updated),
        ("update", true, true, &seen.repeated),
        ("delete", true, false, &seen.deleted),
        ("update", false, false, &seen.undecodable),
    ]
    .map(|(action, valid, equal, value)| {
        let labels = vec![
            ("scope", scope.to_owned()),
            ("action", action.to_owned()),
            ("valid", valid.to_string()),
            ("equal", equal.to_string()),
        ];
        (labels, read(value))
    })
}
