//! The resolver's entries in the datapath's words.

use std::collections::BTreeMap;

use cilium_policy::{Direction, Entry, Key, MapState};
use datapath::{PolicyEntry, PolicyKey, Verdict};

/// A policy as a whole.
pub fn entries(state: &MapState) -> BTreeMap<PolicyKey, PolicyEntry> {
    state.iter().map(entry).collect()
}

pub(super) fn key(key: &Key) -> PolicyKey {
    PolicyKey {
        identity: key.identity,
        direction: match key.direction {
            Direction::Ingress => datapath::Direction::Ingress,
            Direction::Egress => datapath::Direction::Egress,
        },
        protocol: key.protocol,
        port: key.port,
        port_bits: key.port_bits,
    }
}

pub(super) fn entry((from, value): (&Key, &Entry)) -> (PolicyKey, PolicyEntry) {
    let verdict = match value.verdict {
        cilium_policy::Verdict::DefaultDeny => Verdict::DefaultDeny,
        cilium_policy::Verdict::Allow => Verdict::Allow,
        cilium_policy::Verdict::Deny => Verdict::Deny,
    };
    let cookie = value.cookie.0;
    (key(from), PolicyEntry { verdict, cookie })
}

/// Nothing in and nothing out.
pub(super) fn closed() -> BTreeMap<PolicyKey, PolicyEntry> {
    [datapath::Direction::Ingress, datapath::Direction::Egress]
        .map(|direction| {
            let everyone = PolicyKey {
                identity: 0,
                direction,
                protocol: 0,
                port: 0,
                port_bits: 0,
            };
            let nothing = PolicyEntry {
                verdict: Verdict::DefaultDeny,
                cookie: 0,
            };
            (everyone, nothing)
        })
        .into()
}
