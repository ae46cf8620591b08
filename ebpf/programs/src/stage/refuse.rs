//! Telling whoever asks a service without backends, or an address of no pod, that nobody answers, so that it need not wait for its own
//! patience to end.
//!
//! An address of no pod is mostly that of a pod that went away. A UDP socket that was connected to it, be it through a service, would
//! go on sending for ever; the error is "port unreachable", since Linux does not tell such a socket of the others.

use core::mem::offset_of;

use aya_ebpf::bindings::__sk_buff;
use aya_ebpf::bindings::bpf_adj_room_mode::BPF_ADJ_ROOM_MAC;
use aya_ebpf::helpers::{
    bpf_csum_diff, bpf_ktime_get_ns, bpf_redirect, bpf_skb_adjust_room, bpf_skb_change_tail,
};
use aya_ebpf::programs::TcContext;
use datapath_abi::ip::IDENTITY_HOST;
use datapath_abi::reason;

use super::packet::{
    ETHERNET, Ethernet, ICMP, ICMP_UNREACHABLE, Ipv4, Packet, Part, SCTP, TCP, UDP, at,
};
use super::{encapsulate, service};
use crate::maps::{cilium_packet, cilium_refused};

const PORT_UNREACHABLE: u8 = 3;
const WITHOUT_OPTIONS: u8 = 0x45;
const TTL: u8 = 64;
/// As Linux marks its own errors (RFC 1812 4.3.2.5: internetwork control).
const TOS: u8 = 0xc0;
/// The new IPv4 and ICMP headers.
const ADDED: usize = size_of::<Ipv4>() + size_of::<Icmp>();
/// Nanoseconds that each answer of a processor takes from what it may spend: a flood is not answered with a flood.
const PRICE: u64 = 1_000_000;
/// What a processor that has been quiet may spend at once.
const CREDIT: u64 = 100 * PRICE;

/// An ICMP error's header (RFC 792).
#[repr(C)]
#[derive(Clone, Copy)]
struct Icmp {
    kind: u8,
    code: u8,
    checksum: u16,
    unused: u32,
}

/// Bytes that the message says of a TCP segment: more than the eight of RFC 792, because the kernel does not cut a packet before the
/// place where its checksum is still to be filled in. Of SCTP as many, for the tag in an INIT by which its sender knows that it is
/// meant (RFC 9260 10).
const SEGMENT: usize = 20;
type OfSegment = [u32; (size_of::<Ipv4>() + SEGMENT) / 4];
type OfUdp = [u32; (size_of::<Ipv4>() + 8) / 4];

/// The action for a packet that was counted and told as dropped: back to its sender as an ICMP error, if nobody is there to answer
/// and it may be answered.
#[inline(always)]
pub(crate) fn instead(ctx: &TcContext, reason: u8, action: i32) -> i32 {
    if !matches!(reason, reason::NO_BACKEND | reason::UNKNOWN_TARGET) {
        return action;
    }
    if refuse(ctx.skb.skb) == 0 || as_asked(ctx).is_err() {
        return action;
    }
    // SAFETY: a field of the context; a plain helper call.
    unsafe { bpf_redirect((*ctx.skb.skb).ifindex, 0) as i32 }
}

/// What was for a service may have got its backend's address before nobody was found there; its sender knows the service's only.
#[inline(always)]
fn as_asked(ctx: &TcContext) -> Result<bool, u8> {
    let answer = cilium_packet.get_ptr_mut(0).ok_or(reason::INVALID_PACKET)?;
    // SAFETY: as in `refuse`.
    service::restore(ctx, unsafe { &mut *answer })
}

/// As above for a packet that came through the tunnel from a node.
#[inline(always)]
pub(crate) fn through_tunnel(ctx: &TcContext, node: u32, action: i32) -> i32 {
    if refuse(ctx.skb.skb) == 0 {
        return action;
    }
    encapsulate::send(ctx, IDENTITY_HOST, node).map_or(action, i32::from)
}

/// Turns the packet into the answer to it, and what is known of the packet with it. 0: it is not answered. Global like `judge_packet`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn refuse(skb: *mut __sk_buff) -> u32 {
    let ctx = &TcContext::new(skb);
    let Some(packet) = cilium_packet.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: this processor's, and the programs are not interrupted by each other.
    let packet = unsafe { &mut *packet };
    if packet.quiet != 0 || packet.part != Part::Whole || !is_one_host(packet.source) || !is_time()
    {
        return 0;
    }
    let done = match packet.protocol {
        // Nothing shorter opens an association.
        SCTP | TCP if usize::from(packet.length) >= SEGMENT => answer::<OfSegment>(ctx, packet),
        UDP => answer::<OfUdp>(ctx, packet),
        _ => Err(0),
    };
    let Ok(length) = done else {
        return 0;
    };
    (packet.source, packet.destination) = (packet.destination, packet.source);
    (packet.protocol, packet.icmp_type) = (ICMP, ICMP_UNREACHABLE);
    (packet.l4, packet.length) = (ETHERNET + size_of::<Ipv4>(), length);
    1
}

/// Neither a group nor everybody (RFC 1122 3.2.2).
#[inline(always)]
fn is_one_host(address: u32) -> bool {
    let first = address.to_ne_bytes()[0];
    first != 0 && first != 127 && first < 224
}

#[inline(always)]
fn is_time() -> bool {
    let Some(spent) = cilium_refused.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: this processor's; a plain helper call.
    unsafe {
        let now = bpf_ktime_get_ns();
        let earliest = now.saturating_sub(CREDIT);
        let from = if *spent < earliest { earliest } else { *spent };
        if from > now {
            return false;
        }
        *spent = from + PRICE;
    }
    true
}

/// The answer is the length of the message.
#[inline(always)]
fn answer<Quote: Copy>(ctx: &TcContext, packet: &Packet) -> Result<u16, i64> {
    let header = at::<Ipv4>(ctx, ETHERNET).ok_or(0)?;
    let frame = at::<Ethernet>(ctx, 0).ok_or(0)?;
    // SAFETY: `at` has checked the bounds.
    let (version_length, frame) = unsafe { ((*header).version_length, *frame) };
    if version_length != WITHOUT_OPTIONS {
        return Err(0);
    }
    let skb = ctx.skb.skb;
    let kept = ETHERNET + size_of::<Quote>();
    // SAFETY: plain helper calls.
    unsafe {
        if bpf_skb_change_tail(skb, kept as u32, 0) != 0
            || bpf_skb_adjust_room(skb, ADDED as i32, BPF_ADJ_ROOM_MAC, 0) != 0
        {
            return Err(0);
        }
    }
    let back = Ethernet {
        destination: frame.source,
        source: frame.destination,
        ethertype: frame.ethertype,
    };
    ctx.store(0, &back, 0)?;
    let mut header = Ipv4 {
        version_length: WITHOUT_OPTIONS,
        tos: TOS,
        total_length: ((ADDED + size_of::<Quote>()) as u16).to_be(),
        id: 0,
        fragment: 0,
        ttl: TTL,
        protocol: ICMP,
        checksum: 0,
        source: packet.destination,
        destination: packet.source,
    };
    header.checksum = checksum(&mut header, 0);
    ctx.store(ETHERNET, &header, 0)?;
    let mut quote = ctx.load::<Quote>(ETHERNET + ADDED)?;
    let mut message = Icmp {
        kind: ICMP_UNREACHABLE,
        code: PORT_UNREACHABLE,
        checksum: 0,
        unused: 0,
    };
    let of_quote = sum(&mut quote, 0);
    message.checksum = checksum(&mut message, of_quote);
    ctx.store(ETHERNET + size_of::<Ipv4>(), &message, 0)?;
    Ok((size_of::<Icmp>() + size_of::<Quote>()) as u16)
}

/// The Internet checksum (RFC 1071), not folded yet.
#[inline(always)]
fn sum<T>(bytes: &mut T, seed: u32) -> u32 {
    // SAFETY: the helper reads exactly that many bytes.
    unsafe {
        bpf_csum_diff(
            core::ptr::null_mut(),
            0,
            core::ptr::from_mut(bytes).cast(),
            size_of::<T>() as u32,
            seed,
        ) as u32
    }
}

#[inline(always)]
fn checksum<T>(bytes: &mut T, seed: u32) -> u16 {
    let sum = sum(bytes, seed);
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}

const _: () = assert!(offset_of!(Icmp, checksum) == 2 && ADDED == 28);
