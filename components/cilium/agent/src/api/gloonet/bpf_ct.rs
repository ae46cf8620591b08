//! `/v1/gloonet/bpf/ct`: the connections the kernel knows, up to half a million; so they go out a thousand at a time.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::bpf::{CtEntry, CtKey, CtRecord, Flushed};
use datapath::Flow;
use futures::StreamExt as _;

use super::{lines, push_line};
use crate::agent::{Agent, blocking};
use crate::api::map_unreadable;

const AT_A_TIME: usize = 1024;

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    let own: BTreeSet<Ipv4Addr> = agent.endpoints.list().iter().map(|e| e.ip).collect();
    let read = blocking(move || {
        let mut flows = agent.datapath.flows()?;
        flows.sort_unstable_by_key(|flow| {
            let (from, to) = (flow.originator, flow.responder);
            (flow.protocol, from.ip, from.port, to.ip, to.port)
        });
        Ok(flows)
    });
    let flows = match read.await {
        Some(Ok(flows)) => flows,
        other => return map_unreadable(other),
    };
    let chunks = futures::stream::iter(flows).chunks(AT_A_TIME);
    lines(chunks.map(move |flows| {
        let mut text = Vec::new();
        for flow in &flows {
            push_line(&mut text, &describe(flow, &own));
        }
        text
    }))
}

pub async fn flush(State(agent): State<Arc<Agent>>) -> Response {
    match blocking(move || agent.datapath.flush_flows()).await {
        Some(Ok(deleted)) => {
            tracing::info!(
                deleted,
                "Connections forgotten, as asked for over the socket"
            );
            Json(Flushed { deleted }).into_response()
        }
        other => map_unreadable(other),
    }
}

fn describe(flow: &Flow, own: &BTreeSet<Ipv4Addr>) -> CtRecord {
    let (from, to) = (flow.originator, flow.responder);
    let direction = if own.contains(&from.ip) { "OUT" } else { "IN" };
    CtRecord {
        key: CtKey {
            source_addr: from.ip,
            source_port: from.port,
            dest_addr: to.ip,
            dest_port: to.port,
            next_header: flow.protocol,
            icmp_type: flow.icmp_type,
            direction: direction.to_owned(),
        },
        value: CtEntry {
            lifetime: flow.expires_in.as_secs(),
            tx_packets: from.packets,
            tx_bytes: from.bytes,
            rx_packets: to.packets,
            rx_bytes: to.bytes,
            tx_flags_seen: from.tcp_flags,
            rx_flags_seen: to.tcp_flags,
            seen_reply: flow.seen_reply,
            closing: flow.closing,
            source_security_id: from.identity,
            dest_security_id: to.identity,
        },
    }
}
