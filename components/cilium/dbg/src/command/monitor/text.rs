//! Events as lines, in the wording of `cilium monitor`.

use cilium_cni::model::event::{Event, Kind, Way};
use serde_json::{Value, json};

use super::ends;
use crate::packet::Packet;
use crate::reserved::{identity_or_number, match_type};

/// One line.
pub(super) fn brief(event: &Event, numeric: bool) -> String {
    let packet = Packet::read_hexadecimal(&event.packet);
    let name = |identity| identity_or_number(identity, numeric);
    let between = format!(
        "identity {}->{}",
        name(event.source_identity),
        name(event.destination_identity)
    );
    let (_, destination) = ends(event);
    match event.kind {
        Kind::Drop => format!(
            "xx drop ({}) flow 0x0 to endpoint {destination}, ifindex {}, {between}: {}",
            event.text,
            interface(event),
            packet.summary()
        ),
        Kind::Trace => format!(
            "{} flow 0x0 , {between} state {} ifindex {} orig-ip {}: {}",
            going(event),
            state(event),
            interface(event),
            packet
                .ip
                .map_or_else(|| "0.0.0.0".to_owned(), |(source, _)| source.to_string()),
            packet.summary()
        ),
        Kind::PolicyVerdict => format!(
            "Policy verdict log: flow 0x0 local EP ID {}, remote ID {}, proto {}, {}, action {}, auth: disabled, match {}, {}",
            event.endpoint,
            name(remote(event)),
            packet.protocol,
            way(event.direction),
            action(event),
            match_type(event.match_type),
            packet.summary()
        ),
    }
}

/// The line, and below it what the line has no place for.
pub(super) fn verbose(event: &Event, numeric: bool) -> String {
    let policies = if event.policies.is_empty() {
        "none".to_owned()
    } else {
        event.policies.join(", ")
    };
    format!(
        "------------------------------------------------------------------------------\n{}\n  time {}, {} bytes, endpoint {} {}, cookie {}, policies: {policies}",
        brief(event, numeric),
        event.time,
        event.length,
        event.endpoint,
        way(event.direction),
        event.cookie,
    )
}

pub(super) fn lost(number: u64) -> String {
    format!("CPU 00: Lost {number} events")
}

pub(super) fn lost_json(number: u64) -> String {
    json!({"type": "lost", "lost": number}).to_string()
}

/// Cilium's fields; of the dissected packet the addresses and ports.
pub(super) fn json(event: &Event) -> String {
    let packet = Packet::read_hexadecimal(&event.packet);
    let (source, destination) = ends(event);
    let mut object = json!({
        "time": event.time,
        "mark": "0x0",
        "source": source,
        "dstID": destination,
        "bytes": event.length,
        "srcLabel": event.source_identity,
        "dstLabel": event.destination_identity,
        "summary": summary(&packet),
    });
    let more = match event.kind {
        Kind::Drop => json!({
            "type": "drop", "reason": event.text, "Ifindex": event.ifindex,
            "cookie": event.cookie, "policies": event.policies,
        }),
        Kind::Trace => json!({
            "type": "trace", "ifindex": interface(event), "state": state(event),
            "observationPoint": event.text, "traceSummary": going(event),
        }),
        Kind::PolicyVerdict => json!({
            "type": "policy-verdict", "endpoint": event.endpoint, "remoteLabel": remote(event),
            "direction": way(event.direction), "action": action(event), "proto": packet.protocol,
            "matchType": match_type(event.match_type), "cookie": event.cookie, "policies": event.policies,
        }),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object.to_string()
}

fn summary(packet: &Packet) -> Value {
    let pair = |source: String, destination: String| json!({"src": source, "dst": destination});
    let mut summary = serde_json::Map::new();
    if let Some((source, destination)) = &packet.ethernet {
        summary.insert("l2".to_owned(), pair(source.clone(), destination.clone()));
    }
    if let Some((source, destination)) = packet.ip {
        summary.insert(
            "l3".to_owned(),
            pair(source.to_string(), destination.to_string()),
        );
    }
    if let Some((source, destination)) = packet.ports {
        summary.insert(
            "l4".to_owned(),
            pair(source.to_string(), destination.to_string()),
        );
    }
    Value::Object(summary)
}

fn going(event: &Event) -> String {
    match event.text.as_str() {
        "to-endpoint" => format!("-> endpoint {}", event.endpoint),
        "to-host" => "-> host from".to_owned(),
        text => format!("-> {}", text.strip_prefix("to-").unwrap_or(text)),
    }
}

fn state(event: &Event) -> &'static str {
    match (event.is_reply, event.is_new) {
        (true, _) => "reply",
        (false, true) => "new",
        (false, false) => "established",
    }
}

fn remote(event: &Event) -> u32 {
    match event.direction {
        Way::Ingress => event.source_identity,
        Way::Egress => event.destination_identity,
    }
}

fn action(event: &Event) -> &'static str {
    match event.code {
        0 => "allow",
        _ => "deny",
    }
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Ingress => "ingress",
        Way::Egress => "egress",
    }
}

fn interface(event: &Event) -> String {
    if event.interface.is_empty() {
        event.ifindex.to_string()
    } else {
        event.interface.clone()
    }
}
