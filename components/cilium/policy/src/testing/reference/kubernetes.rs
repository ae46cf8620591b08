//! NetworkPolicy, from the Kubernetes documentation.

use serde_json::Value;

use super::{Case, Opinion, in_any_network, in_network, labels, list, protocol_number};

const OF_NAMESPACE: &str = "k8s:io.cilium.k8s.namespace.labels.";

pub(super) fn opinion(case: &Case<'_>, namespace: &str, spec: &Value) -> Opinion {
    let own = labels::namespace(case.pod_labels()).is_some_and(|n| n == namespace);
    let vague = labels::ambiguous(&spec["podSelector"]);
    if !own || !vague && !labels::kubernetes(&spec["podSelector"], "k8s:", case.pod_labels()) {
        return Opinion::default();
    }
    let (section, peers, kind) = if case.ingress() {
        ("ingress", "from", "Ingress")
    } else {
        ("egress", "to", "Egress")
    };
    let isolates = match spec["policyTypes"].as_array() {
        Some(types) => types.iter().any(|t| t == kind),
        None => case.ingress() || !spec["egress"].is_null(),
    };
    let allows = isolates
        && !vague
        && list(&spec[section])
            .iter()
            .any(|rule| allows(case, namespace, rule, peers));
    Opinion {
        isolates,
        allows,
        denies: false,
    }
}

fn allows(case: &Case<'_>, namespace: &str, rule: &Value, peers: &str) -> bool {
    if list(&rule["ports"]).iter().any(is_upside_down) {
        return false;
    }
    let peers = list(&rule[peers]);
    if peers.iter().any(|p| labels::ambiguous(&p["podSelector"])) {
        return false;
    }
    let by_identity = peers.is_empty() || peers.iter().any(|p| peer_by_labels(case, namespace, p));
    let by_address = peers.iter().any(|p| peer_by_address(case, p));
    (by_identity && port_matches(case, rule, true))
        || (by_address && port_matches(case, rule, false))
}

fn peer_by_labels(case: &Case<'_>, own: &str, peer: &Value) -> bool {
    let Some(namespace) = labels::namespace(&case.peer_labels) else {
        return false;
    };
    if !peer["ipBlock"].is_null() {
        return false;
    }
    let namespace_matches = if peer["namespaceSelector"].is_null() {
        namespace == own
    } else {
        labels::kubernetes(&peer["namespaceSelector"], OF_NAMESPACE, &case.peer_labels)
    };
    namespace_matches && labels::kubernetes(&peer["podSelector"], "k8s:", &case.peer_labels)
}

fn peer_by_address(case: &Case<'_>, peer: &Value) -> bool {
    let block = &peer["ipBlock"];
    in_network(case.packet.address, &block["cidr"])
        && !in_any_network(case.packet.address, &block["except"])
}

fn is_upside_down(port: &Value) -> bool {
    match (port["port"].as_u64(), port["endPort"].as_u64()) {
        (Some(first), Some(last)) => last < first,
        _ => false,
    }
}

fn port_matches(case: &Case<'_>, rule: &Value, names: bool) -> bool {
    let ports = list(&rule["ports"]);
    ports.is_empty()
        || ports.iter().any(|port| {
            let protocol = protocol_number(port["protocol"].as_str().unwrap_or("TCP"));
            if protocol != Some(case.packet.protocol) {
                return false;
            }
            let number = u64::from(case.packet.port);
            match (&port["port"], port["endPort"].as_u64()) {
                (Value::Null, _) => true,
                (Value::String(name), _) => (names || case.ingress()) && case.port_is_called(name),
                (first, Some(last)) => first
                    .as_u64()
                    .is_some_and(|first| first <= number && number <= last),
                (only, None) => only.as_u64() == Some(number),
            }
        })
}
