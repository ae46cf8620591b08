//! Services for clients outside the cluster: node ports, external addresses, load balancers' addresses.
//!
//! A backend on this node sees the client's own address, and its answer gets the service's address where it leaves the node. For a
//! backend elsewhere the node stands in for the client, so that the answer comes back here: with its address among pods through the
//! tunnel, with its own to any other host and, without a tunnel, to every backend.

use aya_ebpf::bindings::{
    __sk_buff, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_SUCCESS, bpf_fib_lookup,
};
use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::helpers::{bpf_fib_lookup as fib_lookup, bpf_redirect_neigh};
use aya_ebpf::programs::TcContext;
use datapath_abi::address::{Address, MAPPED_BITS};
use datapath_abi::event::point;
use datapath_abi::ip::IDENTITY_WORLD;
use datapath_abi::reason;
use datapath_abi::service::{
    EXCLUSIVE, GENERATION_BITS, OUTSIDE, RESTRICTED, SILENT, Service, SourceRange,
};

use super::admit::admit;
use super::packet::{AF_INET, ICMP, Packet, Part, SCTP, has_ports};
use super::party::Sender;
use super::verdict::{PASS, Verdict};
use super::{deliver, direct, encapsulate, fragment, icmp_error, masquerade, service};
use crate::config::{NODE_IP, ROUTER_IP};
use crate::maps::{cilium_ipcache, cilium_lb4_services, cilium_lb4_source_range, cilium_lxc};

/// Answers of [`serve_outside`]; reasons are greater.
const NO_SERVICE: u32 = 0;
const TRANSLATED: u32 = 1;

/// Sends a packet from outside to a backend of the service it is for, and an error about an answer to the backend that answered.
/// `None`: it is for no service.
#[inline(always)]
pub(crate) fn serve(ctx: &TcContext, packet: &mut Packet) -> Result<Option<i8>, u8> {
    match serve_outside(ctx.skb.skb, packet) {
        NO_SERVICE if is_nobodys(ctx, packet) => Err(reason::NO_BACKEND),
        NO_SERVICE => Ok(None),
        TRANSLATED => send(ctx, packet).map(Some),
        reason => Err(reason as u8),
    }
}

/// Global like `judge_packet`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn serve_outside(skb: *mut __sk_buff, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's memory, which nobody else holds meanwhile.
    let Some(packet) = (unsafe { packet.as_mut() }) else {
        return u32::from(reason::INVALID_PACKET);
    };
    match translate(&TcContext::new(skb), packet) {
        Ok(false) => NO_SERVICE,
        Ok(true) => TRANSLATED,
        Err(reason) => u32::from(reason),
    }
}

/// Whether nobody takes a packet that is for no service: its address is that of services alone, and none of this host. The stack would
/// send it on to the router that has such addresses here, and so in a circle until its hops end.
#[inline(always)]
fn is_nobodys(ctx: &TcContext, packet: &Packet) -> bool {
    claimed(packet.destination).is_some_and(|flags| flags & EXCLUSIVE != 0)
        && next_device(ctx, packet).is_some()
}

#[inline(always)]
fn translate(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    if packet.protocol == ICMP {
        return icmp_error::to_backend(ctx, packet);
    }
    if !has_ports(packet.protocol) || !knows_ports(packet)? {
        return Ok(false);
    }
    let frontend = service::frontend(packet, OUTSIDE);
    let Some(found) = cilium_lb4_services.get_ptr(&frontend) else {
        return Ok(false);
    };
    // SAFETY: a map value of plain numbers.
    let Service {
        generation, flags, ..
    } = unsafe { *found };
    if flags & RESTRICTED != 0 && !is_allowed(generation, packet.source) {
        return Err(reason::SOURCE_RANGE);
    }
    if packet.protocol == SCTP && packet.part != Part::Whole {
        return Err(reason::FRAGMENT);
    }
    packet.quiet = u8::from(flags & SILENT != 0);
    let served = service::to_backend::<OUTSIDE>(ctx, packet, &frontend)?;
    packet.quiet &= u8::from(served);
    Ok(served)
}

/// Whether it is known which port a packet is for. At an address of services a later fragment without its first is nobody's; at the
/// node's own it may as well be the host's, which waits for the first.
#[inline(always)]
fn knows_ports(packet: &mut Packet) -> Result<bool, u8> {
    match fragment::settle(packet) {
        Ok(()) => Ok(true),
        Err(reason) if claimed(packet.destination).is_some() => Err(reason),
        Err(_) => Ok(false),
    }
}

/// What is said of an address that is one of services. The node's own is not, whatever services are there.
#[inline(always)]
fn claimed(address: u32) -> Option<u32> {
    if address == NODE_IP.load() {
        return None;
    }
    let found = cilium_lb4_services.get_ptr(&service::any_port(address, OUTSIDE))?;
    // SAFETY: a map value of plain numbers.
    Some(unsafe { (*found).flags })
}

#[inline(always)]
fn is_allowed(generation: u32, source: u32) -> bool {
    let who = SourceRange {
        generation,
        address: Address::v4(source),
    };
    cilium_lb4_source_range
        .get(&Key::new(GENERATION_BITS + MAPPED_BITS + 32, who))
        .is_some()
}

/// On to the backend, wherever that is.
#[inline(always)]
fn send(ctx: &TcContext, packet: &mut Packet) -> Verdict {
    let backend = Address::v4(packet.destination);
    if let Some(endpoint) = cilium_lxc.get_ptr(&backend) {
        admit(ctx, packet, Sender::FOREIGNER, point::TO_ENDPOINT)?;
        return deliver::local(ctx, packet, endpoint);
    }
    if packet.destination == NODE_IP.load() {
        return Ok(PASS);
    }
    let node = cilium_ipcache
        .get(&Key::new(128, backend))
        .and_then(|entry| (entry.has_tunnel != 0).then(|| entry.tunnel.to_v4()))
        .filter(|_| !direct::is_on());
    let (stand_in, point) = match node {
        Some(_) => (ROUTER_IP.load(), point::TO_OVERLAY),
        None => (NODE_IP.load(), point::TO_NETWORK),
    };
    // No pod of this node is in it, so nobody's policy is asked; but the translation lives as long as the connection.
    admit(ctx, packet, Sender::FOREIGNER, point)?;
    masquerade::leave_as(ctx, packet, stand_in)?;
    deliver::hop(ctx)?;
    match node {
        Some(node) => encapsulate::send(ctx, IDENTITY_WORLD, node),
        None => route(ctx, packet),
    }
}

/// Sends an answer that came to the node, and has its client's address again, to the client. `None`: it answers no client of a
/// service.
#[inline(always)]
pub(crate) fn hand_back(ctx: &TcContext, packet: &mut Packet) -> Result<Option<i8>, u8> {
    if !service::is_answer(packet) {
        return Ok(None);
    }
    admit(ctx, packet, Sender::FOREIGNER, point::TO_NETWORK)?;
    service::restore(ctx, packet)?;
    deliver::hop(ctx)?;
    route(ctx, packet).map(Some)
}

/// Out by the device that the host's routes name. Not through the stack: it takes no packet from outside that has its own address
/// as source.
#[inline(always)]
fn route(ctx: &TcContext, packet: &Packet) -> Verdict {
    let device = next_device(ctx, packet).ok_or(reason::NO_ROUTE)?;
    // SAFETY: a plain helper call.
    Ok(unsafe { bpf_redirect_neigh(device, core::ptr::null_mut(), 0, 0) } as i8)
}

/// Where the host's routes send a packet on to. `None`: it is the host's own, or no route leads on.
#[inline(always)]
fn next_device(ctx: &TcContext, packet: &Packet) -> Option<u32> {
    match find_next_device(ctx.skb.skb, packet) {
        NO_DEVICE => None,
        device => Some(device),
    }
}

const NO_DEVICE: u32 = 0;

/// Global like `judge_packet`, for the request to be on a stack of its own.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn find_next_device(skb: *mut __sk_buff, packet: *const Packet) -> u32 {
    // SAFETY: the caller's memory.
    let Some(packet) = (unsafe { packet.as_ref() }) else {
        return NO_DEVICE;
    };
    // SAFETY: all zero is a valid request; the helper reads and writes exactly its size.
    unsafe {
        let mut request: bpf_fib_lookup = core::mem::zeroed();
        request.family = AF_INET;
        request.ifindex = (*skb).ifindex;
        request.__bindgen_anon_3.ipv4_src = packet.source;
        request.__bindgen_anon_4.ipv4_dst = packet.destination;
        let found = fib_lookup(
            skb.cast(),
            &raw mut request,
            size_of::<bpf_fib_lookup>() as i32,
            0,
        );
        if found == i64::from(BPF_FIB_LKUP_RET_SUCCESS)
            || found == i64::from(BPF_FIB_LKUP_RET_NO_NEIGH)
        {
            request.ifindex
        } else {
            NO_DEVICE
        }
    }
}
