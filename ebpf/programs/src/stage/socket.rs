//! Services at the socket: translated once, when a process connects or sends.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::bindings::BPF_ANY;
use aya_ebpf::helpers::{bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_set_retval};
use aya_ebpf::programs::SockAddrContext;
use datapath_abi::address::Address;
use datapath_abi::service::{Backend, Frontend, INSIDE, Peer};

use super::packet::{TCP, UDP};
use super::select::{Choice, select};
use crate::config::NAMESPACE;
use crate::maps::cilium_lb4_reverse_sk;

/// Lets the system call go on.
const ALLOW: i32 = 1;
/// Ends the system call.
const REFUSE: i32 = 0;
const ECONNREFUSED: i32 = 111;

/// How an address of IPv4 begins in a socket of IPv6 (RFC 4291, section 2.5.5.2). Runtimes that know one kind of socket only speak
/// IPv4 through such.
const MAPPED: [u32; 3] = [0, 0, u32::from_ne_bytes([0, 0, 0xff, 0xff])];

/// Sends a socket to a backend, if it asks for a service.
#[inline(always)]
pub(crate) fn forward(ctx: &SockAddrContext) -> i32 {
    let call = ctx.sock_addr;
    // SAFETY: the address is readable and writable in this hook.
    unsafe { send(ctx, (*call).user_ip4, |backend| (*call).user_ip4 = backend) }
}

/// [`forward`] for a socket of IPv6. What it sends without a connection, the kernel itself hands to IPv4.
#[inline(always)]
pub(crate) fn forward_mapped(ctx: &SockAddrContext) -> i32 {
    let call = ctx.sock_addr;
    if !is_mapped(ctx) {
        return ALLOW;
    }
    // SAFETY: the address is readable and writable in this hook.
    unsafe {
        send(ctx, (*call).user_ip6[3], |backend| {
            (*call).user_ip6[3] = backend
        })
    }
}

/// Shows a translated socket the service as its peer again.
#[inline(always)]
pub(crate) fn reverse(ctx: &SockAddrContext) -> i32 {
    let call = ctx.sock_addr;
    // SAFETY: the address is readable and writable in this hook.
    unsafe { show(ctx, (*call).user_ip4, |service| (*call).user_ip4 = service) }
}

/// [`reverse`] for a socket of IPv6.
#[inline(always)]
pub(crate) fn reverse_mapped(ctx: &SockAddrContext) -> i32 {
    let call = ctx.sock_addr;
    if !is_mapped(ctx) {
        return ALLOW;
    }
    // SAFETY: the address is readable and writable in this hook.
    unsafe {
        show(ctx, (*call).user_ip6[3], |service| {
            (*call).user_ip6[3] = service
        })
    }
}

#[inline(always)]
fn is_mapped(ctx: &SockAddrContext) -> bool {
    let call = ctx.sock_addr;
    // SAFETY: the context's fields are readable in the hooks of IPv6.
    unsafe {
        (*call).user_ip6[0] == MAPPED[0]
            && (*call).user_ip6[1] == MAPPED[1]
            && (*call).user_ip6[2] == MAPPED[2]
    }
}

/// Has a socket that asks for `address` speak to a backend, or to nobody. `put` writes the backend's address.
#[inline(always)]
fn send(ctx: &SockAddrContext, address: u32, put: impl FnOnce(u32)) -> i32 {
    match choose(ctx, address) {
        Choice::NoService => ALLOW,
        Choice::NoBackend => {
            // SAFETY: a plain helper call. The peer has no such port.
            unsafe { bpf_set_retval(-ECONNREFUSED) };
            REFUSE
        }
        Choice::Backend(backend) => {
            put(backend.address.to_v4());
            // SAFETY: the port is writable in this hook.
            unsafe { (*ctx.sock_addr).user_port = u32::from(backend.port) };
            ALLOW
        }
    }
}

/// The backend for a socket that asks for `address`, remembered for [`reverse`].
#[inline(always)]
fn choose(ctx: &SockAddrContext, address: u32) -> Choice {
    let call = ctx.sock_addr;
    // SAFETY: the context's fields are readable in this hook.
    let (port, protocol) = unsafe { ((*call).user_port as u16, (*call).protocol as u8) };
    if protocol != TCP && protocol != UDP {
        return Choice::NoService;
    }
    let frontend = Frontend {
        address: Address::v4(address),
        port,
        protocol,
        scope: INSIDE,
    };
    // SAFETY: a plain helper call.
    let namespace = unsafe { bpf_get_netns_cookie(ctx.as_ptr()) };
    // Every pod has a loopback of its own, of which the node's ports are no part.
    if is_loopback(address) && namespace != NAMESPACE.load() {
        return Choice::NoService;
    }
    let choice = select(&frontend, [namespace, 0], None);
    if let Choice::Backend(backend) = choice {
        // Without the entry the process sees the backend as its peer: less pretty, still connected.
        let entry = peer(ctx, backend);
        let _ = cilium_lb4_reverse_sk.insert(&entry, &frontend, u64::from(BPF_ANY));
    }
    choice
}

#[inline(always)]
fn is_loopback(address: u32) -> bool {
    address.to_ne_bytes()[0] == 127
}

/// Has a socket see the service that it asked for when it got the peer with `address`. `put` writes the service's address.
#[inline(always)]
fn show(ctx: &SockAddrContext, address: u32, put: impl FnOnce(u32)) -> i32 {
    let call = ctx.sock_addr;
    // SAFETY: the port is readable and writable in this hook; values of the map are plain.
    unsafe {
        let seen = Backend {
            address: Address::v4(address),
            port: (*call).user_port as u16,
            pad: [0; 2],
        };
        if let Some(frontend) = cilium_lb4_reverse_sk.get_ptr(&peer(ctx, seen)) {
            let Frontend { address, port, .. } = *frontend;
            put(address.to_v4());
            (*call).user_port = u32::from(port);
        }
    }
    ALLOW
}

#[inline(always)]
fn peer(ctx: &SockAddrContext, backend: Backend) -> Peer {
    // SAFETY: a plain helper call.
    Peer {
        cookie: unsafe { bpf_get_socket_cookie(ctx.as_ptr()) },
        backend,
        pad: 0,
    }
}
