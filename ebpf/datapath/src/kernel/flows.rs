use std::net::Ipv4Addr;
use std::time::Duration;

use datapath_abi::flow::{CLOSING, Key, ONE_WAY, ORIGINAL, REPLY, SEEN_REPLY, State};
use datapath_abi::nat::{REVERSE, Tuple};

use super::maps::Maps;
use super::now::monotonic;
use crate::{Collected, Error, Flow, FlowEnd};

const TCP: u8 = 6;
const ICMP: u8 = 1;

pub(super) fn list(maps: &Maps) -> Result<Vec<Flow>, Error> {
    let now = monotonic()?;
    let mut flows = Vec::new();
    maps.cilium_ct4_global
        .each(|key, state| flows.push(flow(key, state, now)))?;
    Ok(flows)
}

pub(super) fn flush(maps: &mut Maps) -> Result<u64, Error> {
    let mut keys = Vec::new();
    maps.cilium_ct4_global.each(|key, _| keys.push(*key))?;
    for key in &keys {
        maps.cilium_ct4_global.unset(key)?;
    }
    Ok(keys.len() as u64)
}

/// A connection that gets a packet between being read and being removed is judged once more: what is allowed stays allowed.
pub(super) fn collect(maps: &mut Maps) -> Result<Collected, Error> {
    let now = monotonic()?;
    let mut collected = Collected::default();
    let mut ended = Vec::new();
    maps.cilium_ct4_global.each(|key, state| {
        if state.expires > now {
            collected.alive.count(key.protocol);
        } else {
            collected.deleted.count(key.protocol);
            ended.push(*key);
        }
    })?;
    for key in &ended {
        maps.cilium_ct4_global.unset(key)?;
    }
    collected.translations = collect_translations(maps)?;
    Ok(collected)
}

/// A masquerading entry has the flow of the pod in its key (forward) or in key and value (reverse).
fn collect_translations(maps: &mut Maps) -> Result<u64, Error> {
    let mut pairs = Vec::new();
    maps.cilium_snat
        .each(|tuple, target| pairs.push((*tuple, *target)))?;
    let mut removed = 0;
    for (tuple, target) in pairs {
        let flow = if tuple.direction == REVERSE {
            Tuple {
                destination: target.address,
                destination_port: target.port,
                ..tuple
            }
        } else {
            tuple
        };
        let known = keys_of(&flow)
            .into_iter()
            .map(|key| maps.cilium_ct4_global.get(&key))
            .collect::<Result<Vec<_>, _>>()?;
        if known.iter().all(Option::is_none) {
            maps.cilium_snat.unset(&tuple)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The keys a masqueraded packet's connection may have.
fn keys_of(tuple: &Tuple) -> Vec<Key> {
    let ends = [
        (tuple.source.to_v4(), tuple.source_port),
        (tuple.destination.to_v4(), tuple.destination_port),
    ];
    let order = |end: (u32, u16)| (u32::from_be(end.0), u16::from_be(end.1));
    let [first, second] = if order(ends[0]) <= order(ends[1]) {
        ends
    } else {
        [ends[1], ends[0]]
    };
    // The answer to an echo has the identifier at its destination: whichever end has the identifier asked.
    let kinds: &[u8] = match (tuple.protocol, first.1, second.1) {
        (ICMP, _, 0) => &[datapath_abi::flow::ECHO_OF_FIRST],
        (ICMP, ..) => &[datapath_abi::flow::ECHO_OF_SECOND],
        _ => &[0],
    };
    kinds
        .iter()
        .map(|kind| Key {
            address: [first.0, second.0],
            port: [first.1, second.1],
            protocol: tuple.protocol,
            kind: *kind,
            icmp_type: 0,
            pad: 0,
        })
        .collect()
}

fn flow(key: &Key, state: &State, now: u64) -> Flow {
    let origin = usize::from(state.origin & 1);
    let end = |place: usize, direction: usize| FlowEnd {
        ip: Ipv4Addr::from(key.address[place].to_ne_bytes()),
        port: u16::from_be(key.port[place]),
        identity: state.identity[direction],
        packets: state.packets[direction],
        bytes: state.bytes[direction],
        tcp_flags: if key.protocol == TCP {
            state.flags[direction]
        } else {
            0
        },
    };
    Flow {
        protocol: key.protocol,
        originator: end(origin, ORIGINAL),
        responder: end(1 - origin, REPLY),
        icmp_type: (key.kind == ONE_WAY).then_some(key.icmp_type),
        expires_in: Duration::from_nanos(state.expires.saturating_sub(now)),
        epoch: state.epoch,
        seen_reply: state.bits & SEEN_REPLY != 0,
        closing: state.bits & CLOSING != 0,
    }
}
