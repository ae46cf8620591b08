//! The kernel's lookup, as slow and obvious as can be.

use std::{collections::BTreeMap, net::Ipv4Addr};

use ipnet::Ipv4Net;

use super::scene::Packet;
use crate::key::{
    CLUSTER, Direction, Entry, Key, MapState, Verdict, WORLD, cluster_block, world_block,
};

/// What the kernel does with a packet.
pub fn judge(state: &MapState, prefixes: &BTreeMap<Ipv4Net, u32>, packet: &Packet) -> Verdict {
    // The node's own probes are let in before the maps are asked.
    if packet.direction == Direction::Ingress && packet.identity == 1 {
        return Verdict::Allow;
    }
    let aggregate = if packet.identity == WORLD {
        WORLD
    } else {
        CLUSTER
    };
    let block = block(prefixes, packet.address).map(|number| {
        if packet.identity == WORLD {
            world_block(number)
        } else {
            cluster_block(number)
        }
    });
    let asked = [Some(packet.identity), Some(aggregate), block, Some(0)];
    let answers = asked
        .into_iter()
        .flatten()
        .filter_map(|identity| longest(state, identity, packet));
    answers
        .map(|entry| entry.verdict)
        .max()
        .unwrap_or(Verdict::Deny)
}

/// Number of the block an address is in.
pub fn block(prefixes: &BTreeMap<Ipv4Net, u32>, address: Ipv4Addr) -> Option<u32> {
    let around = prefixes
        .iter()
        .filter(|(prefix, _)| prefix.contains(&address));
    around
        .max_by_key(|(prefix, _)| prefix.prefix_len())
        .map(|(_, number)| *number)
}

fn longest(state: &MapState, identity: u32, packet: &Packet) -> Option<Entry> {
    let matches = |key: &&Key| {
        let port_matches = (0..key.port_bits).all(|bit| {
            let mask = 0x8000_u16 >> bit;
            key.port & mask == packet.port & mask
        });
        key.identity == identity
            && key.direction == packet.direction
            && (key.protocol == 0 || key.protocol == packet.protocol && port_matches)
    };
    let length = |key: &&Key| (key.protocol != 0, key.port_bits);
    let key = state.keys().filter(matches).max_by_key(length)?;
    state.get(key).copied()
}
