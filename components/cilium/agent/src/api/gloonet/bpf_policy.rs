//! `/v1/gloonet/bpf/policy`: what judges an endpoint, as the kernel has it. One endpoint at a time: a policy has up to
//! 16,384 entries.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use cilium_cni::model::bpf::{PolicyEntry, PolicyKey, PolicyOfEndpoint};
use datapath::{Datapath, Direction, Error, Verdict};

use crate::agent::{Agent, blocking};
use crate::api::{map_unreadable, refuse};

/// Bits of the kernel's key before the protocol, and of the protocol.
const EXACT_BITS: u32 = 40;
const PROTOCOL_BITS: u32 = 8;

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    let mut endpoints = match blocking(move || agent.datapath.endpoints()).await {
        Some(Ok(endpoints)) => endpoints,
        other => return map_unreadable(other),
    };
    endpoints.sort_by_key(|endpoint| endpoint.id);
    let policies: Vec<PolicyOfEndpoint> = endpoints
        .iter()
        .map(|endpoint| PolicyOfEndpoint {
            endpoint: endpoint.id,
            policy: endpoint.policy,
        })
        .collect();
    Json(policies).into_response()
}

pub async fn get(State(agent): State<Arc<Agent>>, Path(id): Path<u16>) -> Response {
    match blocking(move || entries(&*agent.datapath, id)).await {
        Some(Ok(Some(entries))) => Json(entries).into_response(),
        Some(Ok(None)) => refuse(
            StatusCode::NOT_FOUND,
            format!("there is no endpoint {id} in the datapath of this node"),
        ),
        other => map_unreadable(other),
    }
}

/// `None`: there is no such endpoint. One without a policy has no entries, and drops everything.
fn entries(datapath: &dyn Datapath, id: u16) -> Result<Option<Vec<PolicyEntry>>, Error> {
    let endpoints = datapath.endpoints()?;
    let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.id == id) else {
        return Ok(None);
    };
    let policy = datapath.policy(endpoint.policy)?.unwrap_or_default();
    Ok(Some(describe(&policy)))
}

/// Denials first, then by direction, peer and port, as Cilium sorts them.
fn describe(policy: &BTreeMap<datapath::PolicyKey, datapath::PolicyEntry>) -> Vec<PolicyEntry> {
    let mut entries: Vec<(u8, PolicyEntry)> = policy
        .iter()
        .map(|(key, entry)| {
            let (rank, verdict) = match entry.verdict {
                Verdict::Deny => (0, "deny"),
                Verdict::Allow => (1, "allow"),
                Verdict::DefaultDeny => (2, "default-deny"),
            };
            let entry = PolicyEntry {
                key: describe_key(*key),
                verdict: verdict.to_owned(),
                cookie: entry.cookie,
            };
            (rank, entry)
        })
        .collect();
    entries.sort_by_cached_key(|(rank, entry)| {
        let key = entry.key.clone();
        (
            *rank,
            key.traffic_direction,
            key.identity,
            key.nexthdr,
            key.dest_port,
            key.prefixlen,
        )
    });
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn describe_key(key: datapath::PolicyKey) -> PolicyKey {
    let protocol = if key.protocol == 0 {
        0
    } else {
        PROTOCOL_BITS + u32::from(key.port_bits)
    };
    PolicyKey {
        prefixlen: EXACT_BITS + protocol,
        identity: key.identity,
        traffic_direction: match key.direction {
            Direction::Ingress => 0,
            Direction::Egress => 1,
        },
        nexthdr: key.protocol,
        dest_port: key.port,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(
        identity: u32,
        direction: Direction,
        port: Option<(u16, u8)>,
        verdict: Verdict,
    ) -> (datapath::PolicyKey, datapath::PolicyEntry) {
        let (port, port_bits) = port.unwrap_or_default();
        let key = datapath::PolicyKey {
            identity,
            direction,
            protocol: if port_bits == 0 { 0 } else { 6 },
            port,
            port_bits,
        };
        (key, datapath::PolicyEntry { verdict, cookie: 9 })
    }

    #[test]
    fn denials_come_first_and_prefixes_count_the_bits_that_matter() {
        let policy = BTreeMap::from([
            entry(0, Direction::Ingress, None, Verdict::DefaultDeny),
            entry(300, Direction::Ingress, Some((80, 16)), Verdict::Allow),
            entry(301, Direction::Egress, Some((8080, 13)), Verdict::Deny),
        ]);
        let shown: Vec<(String, u32, u32)> = describe(&policy)
            .into_iter()
            .map(|entry| (entry.verdict, entry.key.identity, entry.key.prefixlen))
            .collect();
        assert_eq!(
            shown,
            [
                ("deny".to_owned(), 301, 61),
                ("allow".to_owned(), 300, 64),
                ("default-deny".to_owned(), 0, 40),
            ]
        );
    }
}
