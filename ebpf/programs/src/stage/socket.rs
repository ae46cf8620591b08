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

/// Sends a socket to a backend, if it asks for a service.
#[inline(always)]
pub(crate) fn forward(ctx: &SockAddrContext) -> i32 {
    let call = ctx.sock_addr;
    // SAFETY: the context's fields are readable in this hook.
    let (address, port, protocol) = unsafe {
        (
            (*call).user_ip4,
            (*call).user_port as u16,
            (*call).protocol as u8,
        )
    };
    if protocol != TCP && protocol != UDP {
        return ALLOW;
    }
    let frontend = Frontend {
        address: Address::v4(address),
        port,
        protocol,
        scope: INSIDE,
    };
    // SAFETY: plain helper calls; address and port are writable in this hook.
    unsafe {
        let namespace = bpf_get_netns_cookie(ctx.as_ptr());
        // Every pod has a loopback of its own, of which the node's ports are no part.
        if is_loopback(address) && namespace != NAMESPACE.load() {
            return ALLOW;
        }
        match select(&frontend, [namespace, 0], None) {
            Choice::NoService => ALLOW,
            Choice::NoBackend => {
                bpf_set_retval(-ECONNREFUSED);
                REFUSE
            }
            Choice::Backend(backend) => {
                // Without the entry the process sees the backend as its peer: less pretty, still connected.
                let _ = cilium_lb4_reverse_sk.insert(
                    &peer(ctx, backend),
                    &frontend,
                    u64::from(BPF_ANY),
                );
                (*call).user_ip4 = backend.address.to_v4();
                (*call).user_port = u32::from(backend.port);
                ALLOW
            }
        }
    }
}

#[inline(always)]
fn is_loopback(address: u32) -> bool {
    address.to_ne_bytes()[0] == 127
}

/// Shows a translated socket the service as its peer again.
#[inline(always)]
pub(crate) fn reverse(ctx: &SockAddrContext) -> i32 {
    let call = ctx.sock_addr;
    // SAFETY: the context's fields are readable, address and port writable, in this hook.
    unsafe {
        let seen = Backend {
            address: Address::v4((*call).user_ip4),
            port: (*call).user_port as u16,
            pad: [0; 2],
        };
        if let Some(frontend) = cilium_lb4_reverse_sk.get_ptr(&peer(ctx, seen)) {
            let Frontend { address, port, .. } = *frontend;
            (*call).user_ip4 = address.to_v4();
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
