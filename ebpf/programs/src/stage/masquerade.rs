//! Traffic of pods to outside leaves with the node's address, and finds its way back; so does that of outside clients to backends
//! elsewhere.

use aya_ebpf::bindings::{__sk_buff, BPF_ANY, BPF_NOEXIST};
use aya_ebpf::helpers::bpf_get_prandom_u32;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::nat::{FIRST_PORT, FORWARD, LAST_PORT, REVERSE, Target, Tuple};
use datapath_abi::reason;

use super::packet::{ICMP, ICMP_ECHO, ICMP_ECHO_REPLY, Packet, Part, has_ports};
use super::rewrite::{End, rewrite};
use super::{fragment, icmp_error};
use crate::config::NODE_IP;
use crate::maps::cilium_snat;

const PORTS: u16 = LAST_PORT - FIRST_PORT + 1;
const TRIES: u16 = 32;

/// Whether a port (network byte order) is one that masquerading hands out.
#[inline(always)]
pub(crate) fn is_ours(port: u16) -> bool {
    let port = u16::from_be(port);
    port >= FIRST_PORT && port <= LAST_PORT
}

/// Gives a packet of a pod the node's address and a port of ours.
#[inline(always)]
pub(crate) fn leave(ctx: &TcContext, packet: &mut Packet) -> Result<(), u8> {
    leave_as(ctx, packet, NODE_IP.load())
}

/// Gives a packet an address of the node's and a port of ours.
#[inline(always)]
pub(crate) fn leave_as(ctx: &TcContext, packet: &mut Packet, node: u32) -> Result<(), u8> {
    match masquerade(ctx.skb.skb, packet, node) {
        0 => Ok(()),
        reason => Err(reason as u8),
    }
}

/// 0, or why not. Global like `judge_packet`, and with a stack of its own.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn masquerade(skb: *mut __sk_buff, packet: *mut Packet, node: u32) -> u32 {
    // SAFETY: the caller's memory, which nobody else holds meanwhile.
    let Some(packet) = (unsafe { packet.as_mut() }) else {
        return u32::from(reason::INVALID_PACKET);
    };
    match in_place(&TcContext::new(skb), packet, node) {
        Ok(()) => 0,
        Err(reason) => u32::from(reason),
    }
}

#[inline(always)]
fn in_place(ctx: &TcContext, packet: &mut Packet, node: u32) -> Result<(), u8> {
    // The receiver puts a datagram together by addresses and identification; only its first part has a port.
    if packet.part == Part::Later {
        return rewrite(ctx, packet, End::Source, node, 0);
    }
    if !(has_ports(packet.protocol) || packet.icmp_type == ICMP_ECHO) {
        let left = icmp_error::leave(ctx, packet)?;
        return left.then_some(()).ok_or(reason::NAT_PROTOCOL);
    }
    let port = port_for(packet, node)?;
    rewrite(ctx, packet, End::Source, node, port)
}

/// Whether a pod's flow leaves under the node's address already.
#[inline(always)]
pub(crate) fn is_known(packet: &Packet) -> bool {
    cilium_snat.get_ptr(&packet.tuple(FORWARD)).is_some()
}

/// The port of a flow: the one it has, or a free one.
#[inline(always)]
fn port_for(packet: &Packet, node: u32) -> Result<u16, u8> {
    let flow = packet.tuple(FORWARD);
    let pod = Target {
        address: flow.source,
        port: packet.source_port,
        pad: [0; 2],
    };
    let known = cilium_snat.get_ptr(&flow).map(|target| {
        // SAFETY: a map value of plain numbers.
        unsafe { (*target).port }
    });
    if let Some(port) = known {
        // The two entries of a flow age apart: without its return entry the flow needs a new one, under the same port if that is free.
        if holds(packet, node, port, &pod) || claim(packet, node, port, &pod) {
            return Ok(port);
        }
    }
    let own = u16::from_be(packet.source_port);
    let mut candidate = if own >= FIRST_PORT && own <= LAST_PORT {
        own
    } else {
        // SAFETY: a plain helper call.
        FIRST_PORT + (unsafe { bpf_get_prandom_u32() } as u16) % PORTS
    };
    for _ in 0..TRIES {
        let port = candidate.to_be();
        if claim(packet, node, port, &pod) {
            let target = Target {
                address: Address::v4(node),
                port,
                pad: [0; 2],
            };
            cilium_snat
                .insert(&flow, &target, u64::from(BPF_ANY))
                .map_err(|_| reason::CT_INSERT_FAILED)?;
            return Ok(port);
        }
        // A step that shares no factor with the range reaches every port, and neighbours do not pile up.
        candidate = FIRST_PORT + (candidate - FIRST_PORT + 7919) % PORTS;
    }
    Err(reason::NO_NAT_PORT)
}

#[inline(always)]
fn holds(packet: &Packet, node: u32, port: u16, pod: &Target) -> bool {
    cilium_snat
        .get_ptr(&answer(packet, node, port))
        .is_some_and(|target| {
            // SAFETY: a map value of plain numbers.
            let Target { address, port, .. } = unsafe { *target };
            address.to_v4() == pod.address.to_v4() && port == pod.port
        })
}

#[inline(always)]
fn claim(packet: &Packet, node: u32, port: u16, pod: &Target) -> bool {
    cilium_snat
        .insert(&answer(packet, node, port), pod, u64::from(BPF_NOEXIST))
        .is_ok()
}

/// The key an answer to the masqueraded packet will be looked up by.
#[inline(always)]
fn answer(packet: &Packet, node: u32, port: u16) -> Tuple {
    Tuple {
        destination: Address::v4(node),
        destination_port: port,
        ..packet.answer()
    }
}

/// Gives an answer the address and port again that its flow had. `false`: it answers nothing of ours and is the host's.
#[inline(always)]
pub(crate) fn come_back(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    if packet.part == Part::Later && !fragment::recall(packet) {
        return Ok(false);
    }
    let may_answer = has_ports(packet.protocol)
        || (packet.protocol == ICMP && packet.icmp_type == ICMP_ECHO_REPLY);
    if !may_answer || !is_ours(packet.destination_port) {
        return Ok(false);
    }
    let Some(target) = cilium_snat.get_ptr(&packet.tuple(REVERSE)) else {
        return Ok(false);
    };
    // SAFETY: a map value of plain numbers.
    let Target { address, port, .. } = unsafe { *target };
    if packet.part == Part::First {
        fragment::remember(packet);
    }
    rewrite(ctx, packet, End::Destination, address.to_v4(), port)?;
    Ok(true)
}
