//! Connections: finding, refreshing and making them.

use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::bpf_ktime_get_coarse_ns;
use datapath_abi::flow::{
    CLOSING, Key, OPEN, OTHER, REPLY, REPORT_SECONDS, SEEN_REPLY, State, TCP_CLOSING, TCP_OPEN,
    TCP_SYN,
};
use datapath_abi::reason;

use super::packet::{FIN, Packet, RST, SYN, TCP};
use super::scratch::Scratch;
use crate::maps::cilium_ct4_global;

/// The clock that connections end by. It moves with the timer tick, and costs a tenth of the exact one.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: a plain helper call.
    unsafe { bpf_ktime_get_coarse_ns() }
}

/// The key of a packet's connection, and which end is its source.
#[inline(always)]
pub(crate) fn key(packet: &Packet) -> (Key, u8) {
    Key::of(
        (packet.source, packet.source_port),
        (packet.destination, packet.destination_port),
        packet.protocol,
        packet.icmp_type,
    )
}

/// A connection that has not ended.
#[inline(always)]
pub(crate) fn find(key: &Key, now: u64) -> Option<*mut State> {
    let state = cilium_ct4_global.get_ptr_mut(key)?;
    // SAFETY: a map value of plain numbers; the kernel keeps it readable while the program runs.
    (unsafe { (*state).expires } > now).then_some(state)
}

/// Whether a packet is from the end of a known connection that did not begin it.
#[inline(always)]
pub(crate) fn answers(packet: &Packet) -> bool {
    let (key, place) = key(packet);
    find(&key, now()).is_some_and(|state| {
        // SAFETY: as in `find`.
        is_reply(unsafe { (*state).origin }, place)
    })
}

/// Whether the end of the key that sends is not the one that began the connection.
#[inline(always)]
pub(crate) fn is_reply(origin: u8, place: u8) -> bool {
    (origin ^ place) & 1 != 0
}

/// Whether a packet begins a connection anew although its key is known: one that opens when the old one closes, or from the end that
/// only answered so far.
#[inline(always)]
pub(crate) fn begins_anew(state: *const State, opens: bool, place: u8) -> bool {
    // SAFETY: as in `find`.
    opens && unsafe { (*state).bits & CLOSING != 0 || is_reply((*state).origin, place) }
}

/// What a connection is told of a packet.
pub(crate) struct Seen {
    pub(crate) protocol: u8,
    pub(crate) flags: u8,
    /// Which end of the key is the source.
    pub(crate) place: u8,
    pub(crate) length: u32,
    pub(crate) now: u64,
}

/// Counts a packet and prolongs its connection. `true`: worth a trace, and somebody is told.
#[inline(always)]
pub(crate) fn refresh(state: *mut State, seen: &Seen, told: u32) -> bool {
    // SAFETY: as in `find`. Two processors that write one connection at once may lose a count: nothing is decided by counts.
    let state = unsafe { &mut *state };
    let direction = usize::from(is_reply(state.origin, seen.place));
    state.packets[direction] += 1;
    state.bytes[direction] += u64::from(seen.length);
    if direction == REPLY {
        state.bits |= SEEN_REPLY;
    }
    let mut fresh = 0;
    if seen.protocol == TCP {
        fresh = seen.flags & !state.flags[direction];
        state.flags[direction] |= seen.flags;
        state.expires = seen.now + tcp_lifetime(state, seen.flags);
    } else {
        state.expires = seen.now + OTHER;
    }
    if told == 0 {
        return false;
    }
    let seconds = seconds(seen.now);
    if fresh == 0 && seconds.wrapping_sub(state.reported[direction]) < REPORT_SECONDS {
        return false;
    }
    state.reported[direction] = seconds;
    true
}

#[inline(always)]
fn tcp_lifetime(state: &mut State, flags: u8) -> u64 {
    if flags & RST != 0 || state.flags[0] & state.flags[1] & FIN != 0 {
        state.bits |= CLOSING;
    } else if state.bits & SEEN_REPLY != 0 && flags & SYN == 0 {
        state.bits |= OPEN;
    }
    if state.bits & CLOSING != 0 {
        TCP_CLOSING
    } else if state.bits & OPEN != 0 {
        TCP_OPEN
    } else {
        TCP_SYN
    }
}

#[inline(always)]
fn seconds(now: u64) -> u32 {
    (now / 1_000_000_000) as u32
}

/// Remembers a connection that was just allowed.
#[inline(always)]
pub(crate) fn create(scratch: &mut Scratch) -> Result<(), u8> {
    let tcp = scratch.protocol == TCP;
    let reset = tcp && scratch.flags & RST != 0;
    let lifetime = match (tcp, reset) {
        (false, _) => OTHER,
        (true, false) => TCP_SYN,
        (true, true) => TCP_CLOSING,
    };
    scratch.state = State {
        expires: scratch.now + lifetime,
        created: scratch.now,
        packets: [1, 0],
        bytes: [u64::from(scratch.length), 0],
        reported: [seconds(scratch.now), 0],
        identity: [scratch.party[0].identity, scratch.party[1].identity],
        epoch: scratch.epoch,
        flags: [scratch.flags, 0],
        origin: scratch.place,
        bits: if reset { CLOSING } else { 0 },
    };
    cilium_ct4_global
        .insert(&scratch.key, &scratch.state, u64::from(BPF_ANY))
        .map_err(|_| reason::CT_INSERT_FAILED)
}
