//! Services packet by packet: for what the socket hooks did not see (raw packets, sockets older than the agent).

use aya_ebpf::bindings::{__sk_buff, BPF_ANY, BPF_NOEXIST};
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::flow::{CLOSING, Key, OPEN, SEEN_REPLY};
use datapath_abi::nat::{FORWARD, REVERSE, Target, Tuple};
use datapath_abi::reason;
use datapath_abi::service::{Backend, EXCLUSIVE, Frontend, INSIDE, LOOPBACK, OUTSIDE, SILENT};

use super::packet::{Packet, Part, TCP, UDP, has_ports};
use super::rewrite::{End, rewrite};
use super::select::{Choice, is_member, select};
use super::{flow, icmp_error, listener};
use crate::maps::{cilium_ct_service, cilium_lb4_services, cilium_lxc};

/// The source a pod sees when it is its own backend, network byte order.
pub(crate) const LOOPBACK_IP: u32 = u32::from_ne_bytes(LOOPBACK);

/// Sends a packet for a service to a backend. `false`: the destination is no service.
#[inline(always)]
pub(crate) fn translate(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    match translate_service(ctx.skb.skb, packet) {
        NO_SERVICE => Ok(false),
        TRANSLATED => Ok(true),
        reason => Err(reason as u8),
    }
}

/// Answers of [`translate_service`] and [`restore_service`]; reasons are greater.
const NO_SERVICE: u32 = 0;
const TRANSLATED: u32 = 1;

/// Global like `judge_packet`, and with a stack of its own.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn translate_service(skb: *mut __sk_buff, packet: *mut Packet) -> u32 {
    // SAFETY: the caller's memory, which nobody else holds meanwhile.
    let Some(packet) = (unsafe { packet.as_mut() }) else {
        return u32::from(reason::INVALID_PACKET);
    };
    match translate_in_place(&TcContext::new(skb), packet) {
        Ok(false) => NO_SERVICE,
        Ok(true) => TRANSLATED,
        Err(reason) => u32::from(reason),
    }
}

#[inline(always)]
fn translate_in_place(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    let Some(address) = cilium_lb4_services.get_ptr(&any_port(packet.destination, INSIDE)) else {
        return Ok(false);
    };
    let frontend = frontend(packet, INSIDE);
    let service = cilium_lb4_services
        .get_ptr(&frontend)
        .filter(|_| has_ports(packet.protocol));
    let Some(service) = service else {
        // SAFETY: a map value of plain numbers.
        let nobody_elses = unsafe { (*address).flags } & EXCLUSIVE != 0;
        return if nobody_elses {
            Err(reason::NO_BACKEND)
        } else {
            Ok(false)
        };
    };
    if packet.part != Part::Whole {
        return Err(reason::FRAGMENT);
    }
    // SAFETY: as above.
    packet.quiet = u8::from(unsafe { (*service).flags } & SILENT != 0);
    mark_client(packet.source);
    to_backend::<INSIDE>(ctx, packet, &frontend)
}

/// What says that an address is one of services.
#[inline(always)]
pub(crate) fn any_port(address: u32, scope: u8) -> Frontend {
    Frontend {
        address: Address::v4(address),
        port: 0,
        protocol: 0,
        scope,
    }
}

/// The service a packet is for.
#[inline(always)]
pub(crate) fn frontend(packet: &Packet, scope: u8) -> Frontend {
    Frontend {
        address: Address::v4(packet.destination),
        port: packet.destination_port,
        protocol: packet.protocol,
        scope,
    }
}

/// Gives a packet for a service the address of a backend, which is remembered for its flow. `false`: it belongs to a process of the
/// node, which was there before the service. `SCOPE` is the frontend's, here a constant: programs for the inside hold nothing that is
/// for the outside.
#[inline(always)]
pub(crate) fn to_backend<const SCOPE: u8>(
    ctx: &TcContext,
    packet: &mut Packet,
    frontend: &Frontend,
) -> Result<bool, u8> {
    let Some(backend) = backend_of::<SCOPE>(ctx, packet, frontend)? else {
        return Ok(false);
    };
    // A pod that is its own backend would answer itself without us; it gets a source that is not its own.
    if backend.address.to_v4() == packet.source {
        let port = packet.source_port;
        rewrite(ctx, packet, End::Source, LOOPBACK_IP, port)?;
    }
    rewrite(
        ctx,
        packet,
        End::Destination,
        backend.address.to_v4(),
        backend.port,
    )?;
    Ok(true)
}

/// Has answers to this pod looked at.
#[inline(always)]
fn mark_client(pod: u32) {
    if let Some(client) = cilium_lxc.get_ptr_mut(&Address::v4(pod)) {
        // SAFETY: a map value; the only value ever written here is 1.
        unsafe { (*client).service_client = 1 };
    }
}

#[inline(always)]
fn backend_of<const SCOPE: u8>(
    ctx: &TcContext,
    packet: &Packet,
    frontend: &Frontend,
) -> Result<Option<Backend>, u8> {
    let flow = packet.tuple(FORWARD);
    let known = cilium_ct_service.get_ptr(&flow).map(|target| {
        // SAFETY: a map value of plain numbers.
        let Target { address, port, .. } = unsafe { *target };
        Backend {
            address,
            port,
            pad: [0; 2],
        }
    });
    // An open connection stays where it is; a UDP flow only while the service still has that backend. So does an INIT: one that is
    // sent again may be answered twice, and only who sent the first answer takes the cookie in it. And a SYN whose answer is under
    // way or was lost: with two answers a client ends the connection.
    if let Some(backend) = known {
        let is_open = packet.protocol != UDP && !packet.opens();
        let may_stay = || packet.protocol != TCP || is_half_open(packet, backend);
        if is_open || may_stay() && still_serves(frontend, backend) {
            if SCOPE == OUTSIDE {
                keep_answer(packet, &flow, backend);
            }
            return Ok(Some(backend));
        }
    }
    if SCOPE == OUTSIDE && listener::is_connected(ctx, packet) {
        return Ok(None);
    }
    // The first piece went nowhere, or to a backend that is gone since.
    if SCOPE == OUTSIDE && packet.part == Part::Later {
        return Err(reason::FRAGMENT_NOT_FOUND);
    }
    let outside = (SCOPE == OUTSIDE).then_some(packet);
    let Choice::Backend(backend) = select(frontend, [u64::from(packet.source), 0], outside) else {
        return Err(reason::NO_BACKEND);
    };
    remember(packet, &flow, backend)?;
    Ok(Some(backend))
}

#[inline(always)]
fn still_serves(frontend: &Frontend, backend: Backend) -> bool {
    cilium_lb4_services
        .get_ptr(frontend)
        .is_some_and(|service| {
            // SAFETY: a map value of plain numbers.
            is_member(unsafe { (*service).generation }, backend)
        })
}

/// The backend has answered, and the client did not go on since.
#[inline(always)]
fn is_half_open(packet: &Packet, backend: Backend) -> bool {
    let client = (packet.source, packet.source_port);
    let server = (backend.address.to_v4(), backend.port);
    let (key, _) = Key::of(client, server, packet.protocol, 0);
    flow::find(&key, flow::now()).is_some_and(|state| {
        // SAFETY: as in `find`.
        let bits = unsafe { (*state).bits };
        bits & (SEEN_REPLY | OPEN | CLOSING) == SEEN_REPLY
    })
}

/// Makes the entry for answers again that went when tables were full: the two entries of a flow age apart, and looking at one keeps
/// it. From inside, one may be gone for good reason: see [`forget`].
#[inline(always)]
fn keep_answer(packet: &Packet, flow: &Tuple, backend: Backend) {
    let (answer, service) = way_back(packet, flow, backend);
    if cilium_ct_service.get_ptr(&answer).is_none() {
        // The next packet tries again.
        let _full = cilium_ct_service.insert(&answer, &service, u64::from(BPF_NOEXIST));
    }
}

/// How an answer of the backend looks, and whom it is to come from.
#[inline(always)]
fn way_back(packet: &Packet, flow: &Tuple, backend: Backend) -> (Tuple, Target) {
    let client = if backend.address.to_v4() == packet.source {
        LOOPBACK_IP
    } else {
        packet.source
    };
    let answer = Tuple {
        source: backend.address,
        destination: Address::v4(client),
        source_port: backend.port,
        ..packet.answer()
    };
    let service = Target {
        address: flow.destination,
        port: flow.destination_port,
        pad: [0; 2],
    };
    (answer, service)
}

#[inline(always)]
fn remember(packet: &Packet, flow: &Tuple, backend: Backend) -> Result<(), u8> {
    let (answer, service) = way_back(packet, flow, backend);
    let to = Target {
        address: backend.address,
        port: backend.port,
        pad: [0; 2],
    };
    cilium_ct_service
        .insert(&answer, &service, u64::from(BPF_ANY))
        .map_err(|_| reason::CT_INSERT_FAILED)?;
    cilium_ct_service
        .insert(flow, &to, u64::from(BPF_ANY))
        .map_err(|_| reason::CT_INSERT_FAILED)
}

/// A connection opens straight to what may be a backend. One through a service that had its name before is over, and answers to this
/// one are not that service's.
#[inline(always)]
pub(crate) fn forget(packet: &Packet) {
    // Mostly there is none.
    let _absent = cilium_ct_service.remove(&packet.answer());
}

/// Whether a packet answers one that was sent to a backend here.
#[inline(always)]
pub(crate) fn is_answer(packet: &Packet) -> bool {
    cilium_ct_service.get_ptr(&packet.tuple(REVERSE)).is_some()
}

/// Gives an answer from a backend the service's address again, and so an error about what was sent to one. `false`: it is neither, and
/// stays as it is.
#[inline(always)]
pub(crate) fn restore(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    match restore_service(ctx.skb.skb, packet) {
        NO_SERVICE => Ok(false),
        TRANSLATED => Ok(true),
        reason => Err(reason as u8),
    }
}

/// As [`translate_service`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn restore_service(skb: *mut __sk_buff, packet: *mut Packet) -> u32 {
    // SAFETY: as above.
    let Some(packet) = (unsafe { packet.as_mut() }) else {
        return u32::from(reason::INVALID_PACKET);
    };
    match restore_in_place(&TcContext::new(skb), packet) {
        Ok(false) => NO_SERVICE,
        Ok(true) => TRANSLATED,
        Err(reason) => u32::from(reason),
    }
}

#[inline(always)]
fn restore_in_place(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    if !has_ports(packet.protocol) {
        return icmp_error::to_client(ctx, packet);
    }
    let Some(service) = cilium_ct_service.get_ptr(&packet.tuple(REVERSE)) else {
        return Ok(false);
    };
    // SAFETY: a map value of plain numbers.
    let Target { address, port, .. } = unsafe { *service };
    if packet.destination == LOOPBACK_IP {
        let (client, client_port) = (packet.source, packet.destination_port);
        rewrite(ctx, packet, End::Destination, client, client_port)?;
    }
    rewrite(ctx, packet, End::Source, address.to_v4(), port)?;
    Ok(true)
}
