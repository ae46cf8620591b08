//! Cilium's policies, from Cilium's documentation, and what this project promises about parts nobody can follow.

use serde_json::Value;

use super::{Case, Opinion, in_any_network, in_network, labels, list, protocol_number};
use crate::input::Node;

const KINDS: [&str; 6] = [
    "Endpoints",
    "CIDR",
    "CIDRSet",
    "Entities",
    "Nodes",
    "Services",
];
const ENTITIES: [&str; 14] = [
    "all",
    "world",
    "cluster",
    "cluster-mesh",
    "host",
    "init",
    "ingress",
    "unmanaged",
    "remote-node",
    "health",
    "none",
    "kube-apiserver",
    "world-ipv4",
    "world-ipv6",
];
const FIELDS: [&str; 6] = [
    "endpointSelector",
    "ingress",
    "egress",
    "ingressDeny",
    "egressDeny",
    "enableDefaultDeny",
];

pub(super) fn opinion(case: &Case<'_>, namespace: Option<&str>, object: &Value) -> Opinion {
    let mut rules: Vec<&Value> = list(&object["specs"]).iter().collect();
    if !object["spec"].is_null() {
        rules.push(&object["spec"]);
    }
    let opinions = rules.iter().map(|rule| of_rule(case, namespace, rule));
    opinions.fold(Opinion::default(), Opinion::and)
}

fn of_rule(case: &Case<'_>, namespace: Option<&str>, rule: &Value) -> Opinion {
    let selector = &rule["endpointSelector"];
    let for_nodes = !rule["nodeSelector"].is_null();
    if selector.is_null() && for_nodes {
        return Opinion::default();
    }
    let vague = selector.is_null() || labels::unanswerable(selector);
    let in_scope = namespace.is_none()
        || labels::namespace(case.pod_labels()).map(String::as_str) == namespace;
    if !in_scope || !vague && !labels::cilium(selector, case.pod_labels()) {
        return Opinion::default();
    }
    let fields = rule
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    let misspelled = fields
        .into_iter()
        .any(|f| f != "nodeSelector" && !FIELDS.contains(&f.as_str()));
    let followed = !vague && !for_nodes && !misspelled;
    let (allow, deny, direction, preposition) = if case.ingress() {
        ("ingress", "ingressDeny", "ingress", "from")
    } else {
        ("egress", "egressDeny", "egress", "to")
    };
    let has_rules = !list(&rule[allow]).is_empty() || !list(&rule[deny]).is_empty();
    let isolates = misspelled
        || rule["enableDefaultDeny"][direction]
            .as_bool()
            .unwrap_or(has_rules);
    let says = |section: &str, if_broken: bool| {
        list(&rule[section]).iter().any(|element| {
            if broken(namespace, element, preposition) {
                if_broken
            } else {
                speaks(case, namespace, element, preposition)
            }
        })
    };
    Opinion {
        isolates,
        allows: followed && says(allow, false),
        denies: says(deny, true),
    }
}

/// Whether there is something in an element that is not supported or makes no sense.
fn broken(namespace: Option<&str>, element: &Value, preposition: &str) -> bool {
    let field = |kind: &str| &element[format!("{preposition}{kind}")];
    let known = |name: &String| {
        let kind = name
            .strip_prefix(preposition)
            .is_some_and(|kind| KINDS.contains(&kind));
        kind || name == "toPorts" || name == "icmps"
    };
    let fields = element
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    let unknown = fields.into_iter().any(|name| !known(name));
    let kinds = KINDS
        .iter()
        .filter(|kind| !list(field(kind)).is_empty())
        .count();
    let entities = list(field("Entities"))
        .iter()
        .any(|e| !ENTITIES.contains(&e.as_str().unwrap_or_default()));
    let homeless = list(field("Services")).iter().any(|s| {
        namespace.is_none() && !s["k8sService"].is_null() && s["k8sService"]["namespace"].is_null()
    });
    unknown
        || kinds > 1
        || entities
        || homeless
        || list(field("Endpoints")).iter().any(labels::unanswerable)
        || !list(&element["toPorts"]).is_empty() && !list(&element["icmps"]).is_empty()
        || list(&element["toPorts"])
            .iter()
            .any(|r| !r["rules"].is_null() || list(&r["ports"]).iter().any(broken_port))
        || list(&element["icmps"])
            .iter()
            .flat_map(|r| list(&r["fields"]))
            .any(|f| f["type"] == "Nonsense")
}

fn broken_port(port: &Value) -> bool {
    let protocol = port["protocol"].as_str().unwrap_or("ANY");
    let last = port["endPort"].as_u64();
    let upside_down = match port["port"].as_str().unwrap_or_default().parse::<u64>() {
        Ok(0) | Err(_) => last.is_some(),
        Ok(first) => last.is_some_and(|last| last < first),
    };
    upside_down || protocol != "ANY" && protocol_number(protocol).is_none()
}

/// Whether an element speaks of the packet.
fn speaks(case: &Case<'_>, namespace: Option<&str>, element: &Value, preposition: &str) -> bool {
    let field = |kind: &str| &element[format!("{preposition}{kind}")];
    let no_peers = KINDS.iter().all(|kind| field(kind).is_null());
    let no_ports = element["toPorts"].is_null() && element["icmps"].is_null();
    if no_peers && no_ports {
        return false;
    }
    let by_identity = no_peers
        || list(field("Endpoints"))
            .iter()
            .any(|s| endpoint(case, namespace, s))
        || list(field("Entities"))
            .iter()
            .any(|e| entity(case.packet.identity, e.as_str().unwrap_or_default()));
    let by_address = list(field("CIDR"))
        .iter()
        .any(|n| case.peer_is_outside() && in_network(case.packet.address, n))
        || list(field("CIDRSet"))
            .iter()
            .any(|r| case.peer_is_outside() && cidr_rule(case, r))
        || list(field("Nodes")).iter().any(|s| node(case, s))
        || list(field("Services"))
            .iter()
            .any(|s| service(case, namespace, s));
    (by_identity && ports(case, element, true)) || (by_address && ports(case, element, false))
}

fn endpoint(case: &Case<'_>, namespace: Option<&str>, selector: &Value) -> bool {
    let there = labels::namespace(&case.peer_labels);
    let elsewhere = labels::demands(selector, |key| {
        ["", "k8s:", "any:"]
            .iter()
            .any(|source| key == format!("{source}io.kubernetes.pod.namespace"))
    });
    let reserved = labels::demands(selector, |key| key.starts_with("reserved:"));
    let in_scope = match namespace {
        Some(own) if !elsewhere => there.is_some_and(|n| n == own),
        None if reserved => true,
        _ => there.is_some(),
    };
    in_scope && labels::cilium(selector, &case.peer_labels)
}

fn entity(identity: u32, entity: &str) -> bool {
    match entity {
        "all" => true,
        "world" | "world-ipv4" => identity == 2,
        "cluster" | "cluster-mesh" => identity != 2,
        "host" => identity == 1,
        "unmanaged" => identity == 3,
        "health" => identity == 4,
        "init" => identity == 5,
        "remote-node" => identity == 6 || identity == 7,
        "kube-apiserver" => identity == 7,
        "ingress" => identity == 8,
        _ => false,
    }
}

fn cidr_rule(case: &Case<'_>, rule: &Value) -> bool {
    let address = case.packet.address;
    if in_any_network(address, &rule["except"]) {
        return false;
    }
    let groups = case.scene.groups.iter().filter(|(name, group)| {
        let by_name = rule["cidrGroupRef"] == name.as_str();
        let env = &rule["cidrGroupSelector"]["matchLabels"]["env"];
        by_name || !env.is_null() && group["metadata"]["labels"]["env"] == *env
    });
    in_network(address, &rule["cidr"])
        || groups
            .map(|(_, group)| &group["spec"]["externalCIDRs"])
            .filter(|networks| !list(networks).contains(&"no network".into()))
            .any(|networks| in_any_network(address, networks))
}

fn node(case: &Case<'_>, selector: &Value) -> bool {
    let holds = |node: &Node| {
        labels::object(selector, &node.labels) && node.addresses.contains(&case.packet.address)
    };
    !case.peer_is_outside() && case.scene.nodes.values().any(|(_, node)| holds(node))
}

fn service(case: &Case<'_>, own: Option<&str>, rule: &Value) -> bool {
    let by_name = &rule["k8sService"];
    let by_labels = &rule["k8sServiceSelector"];
    case.scene.services.iter().any(|(name, service)| {
        let meant = if by_name.is_null() {
            let namespace = by_labels["namespace"].as_str().or(own);
            namespace.is_none_or(|n| n == name.namespace)
                && labels::object(&by_labels["selector"], &service.labels)
        } else {
            let namespace = by_name["namespace"].as_str().or(own);
            namespace == Some(name.namespace.as_str())
                && by_name["serviceName"] == name.name.as_str()
        };
        meant
            && service.backends.contains(&case.packet.address)
            && !(service.has_selector && case.peer_is_outside())
    })
}

fn ports(case: &Case<'_>, element: &Value, names: bool) -> bool {
    if element["toPorts"].is_null() && element["icmps"].is_null() {
        return true;
    }
    let port = list(&element["toPorts"])
        .iter()
        .flat_map(|r| list(&r["ports"]))
        .any(|p| port(case, p, names));
    let icmp = list(&element["icmps"])
        .iter()
        .flat_map(|r| list(&r["fields"]))
        .any(|field| {
            let number = match field["type"].as_str() {
                Some("EchoRequest") => Some(8),
                Some("EchoReply") => Some(0),
                _ => field["type"].as_u64(),
            };
            field["family"] != "IPv6"
                && case.packet.protocol == 1
                && number == Some(u64::from(case.packet.port))
        });
    port || icmp
}

fn port(case: &Case<'_>, port: &Value, names: bool) -> bool {
    let protocol = port["protocol"].as_str().unwrap_or("ANY");
    let protocol_matches = match protocol {
        "ANY" => [6, 17, 132].contains(&case.packet.protocol),
        _ => protocol_number(protocol) == Some(case.packet.protocol),
    };
    let number = u64::from(case.packet.port);
    let text = port["port"].as_str().unwrap_or_default();
    protocol_matches
        && match (text.parse::<u64>(), port["endPort"].as_u64()) {
            (Ok(0), _) => true,
            (Ok(first), Some(last)) => first <= number && number <= last,
            (Ok(only), None) => only == number,
            (Err(_), _) => (names || case.ingress()) && case.port_is_called(text),
        }
}
