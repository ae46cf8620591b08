//! What a pod's policy says of a peer.

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::event::{DROP, IS_REPLY, NEW, VERDICT};
use datapath_abi::ip::{IDENTITY_HOST, IDENTITY_WORLD};
use datapath_abi::policy::{
    ALL_BITS, ALLOW, CLUSTER, DENY, Key as PolicyKey, block_of_cluster, block_of_world, match_type,
};
use datapath_abi::{metric, reason};

use super::event::{self, Report};
use super::scratch::{Scratch, look, put};
use crate::maps::{Policy, cilium_blocks, cilium_policy};

const ORIGINATOR: usize = 0;
const RESPONDER: usize = 1;

/// Asks the policies of all pods of this node that are in the connection; the first refusal ends it.
#[inline(always)]
pub(crate) fn judge(ctx: &TcContext, scratch: &mut Scratch) -> Result<(), u8> {
    if look(&scratch.party[ORIGINATOR].local) != 0 {
        ask_policy(ctx.skb.skb, scratch, u32::from(metric::EGRESS));
        if look(&scratch.reason) != 0 {
            return Err(look(&scratch.reason));
        }
    }
    if look(&scratch.party[RESPONDER].local) != 0 {
        ask_policy(ctx.skb.skb, scratch, u32::from(metric::INGRESS));
        if look(&scratch.reason) != 0 {
            return Err(look(&scratch.reason));
        }
    }
    Ok(())
}

/// Asks one pod's policy, and tells of it. Global like `judge_packet`; the answer is in `reason`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn ask_policy(skb: *mut __sk_buff, scratch: *mut Scratch, direction: u32) -> u32 {
    // SAFETY: the caller's memory, which nobody else holds meanwhile.
    let Some(scratch) = (unsafe { scratch.as_mut() }) else {
        return 0;
    };
    let own = if direction == u32::from(metric::EGRESS) {
        ORIGINATOR
    } else {
        RESPONDER
    };
    let number = look(&scratch.party[own].policy);
    put(&mut scratch.endpoint, look(&scratch.party[own].endpoint));
    put(&mut scratch.direction, direction as u8);
    put(&mut scratch.rank, 0);
    put(&mut scratch.cookie, 0);
    put(&mut scratch.match_type, 0);
    // The host may always reach its pods: kubelet's probes come from there.
    if number != 0 && own == RESPONDER && look(&scratch.party[ORIGINATOR].identity) == IDENTITY_HOST
    {
        put(&mut scratch.rank, RANK_ALLOW);
    // SAFETY: the kernel keeps the inner map while the program runs.
    } else if let Some(policy) = unsafe { cilium_policy.get(&number) } {
        weigh_all(policy, scratch, 1 - own);
    }
    let reason = match look(&scratch.rank) {
        0 => reason::NO_POLICY,
        RANK_ALLOW => 0,
        RANK_DENY => reason::POLICY_DENY,
        _ => reason::POLICY_DENIED,
    };
    put(&mut scratch.reason, reason);
    if scratch.told != 0 {
        tell(&TcContext::new(skb), scratch);
    }
    0
}

const RANK_ALLOW: u8 = ALLOW + 1;
const RANK_DENY: u8 = DENY + 1;

/// Of a new connection every verdict is told, of a known one only that it is over.
#[inline(always)]
fn tell(ctx: &TcContext, scratch: &Scratch) {
    let reason = look(&scratch.reason);
    let new = look(&scratch.new);
    if new == 0 && reason == 0 {
        return;
    }
    let reply = look(&scratch.reply);
    // Names the packet's ends, whichever way it goes.
    let (source, destination) = if reply != 0 {
        (RESPONDER, ORIGINATOR)
    } else {
        (ORIGINATOR, RESPONDER)
    };
    let mut report = Report {
        source: look(&scratch.party[source].identity),
        destination: look(&scratch.party[destination].identity),
        cookie: look(&scratch.cookie),
        endpoint: look(&scratch.endpoint),
        kind: VERDICT,
        code: reason,
        direction: look(&scratch.direction),
        match_type: look(&scratch.match_type),
        bits: (new * NEW) | (reply * IS_REPLY),
    };
    event::tell(ctx, &report);
    if reason != 0 {
        report.kind = DROP;
        event::tell(ctx, &report);
    }
}

/// The peer may be meant by its identity, by what it is a kind of, by its address, or by nobody in particular: the strongest
/// verdict wins, among equals the closest.
#[inline(always)]
fn weigh_all(policy: &Policy, scratch: &mut Scratch, peer: usize) {
    let identity = look(&scratch.party[peer].identity);
    weigh(policy, scratch, identity, false);
    if identity != IDENTITY_WORLD {
        weigh(policy, scratch, CLUSTER, false);
    }
    let address = Address::v4(look(&scratch.party[peer].address));
    if let Some(number) = cilium_blocks.get(&Key::new(128, address)) {
        let block = if identity == IDENTITY_WORLD {
            block_of_world(*number)
        } else {
            block_of_cluster(*number)
        };
        weigh(policy, scratch, block, false);
    }
    weigh(policy, scratch, 0, true);
}

#[inline(always)]
fn weigh(policy: &Policy, scratch: &mut Scratch, identity: u32, any_peer: bool) {
    let key = PolicyKey {
        identity,
        direction: look(&scratch.direction),
        protocol: look(&scratch.protocol),
        port: look(&scratch.port),
    };
    let Some(entry) = policy.get(&Key::new(ALL_BITS, key)) else {
        return;
    };
    let rank = entry.verdict + 1;
    if rank > look(&scratch.rank) {
        put(&mut scratch.rank, rank);
        put(&mut scratch.cookie, entry.cookie);
        put(&mut scratch.match_type, match_type(any_peer, entry));
    }
}
