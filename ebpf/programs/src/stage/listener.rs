//! Processes of the node at a port that became a service's.

use core::ffi::c_void;

use aya_ebpf::bindings::{
    BPF_F_CURRENT_NETNS, BPF_TCP_LISTEN, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1,
    bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
};
use aya_ebpf::helpers::{bpf_sk_lookup_tcp, bpf_sk_release};
use aya_ebpf::programs::TcContext;

use super::packet::{Packet, TCP};
use crate::config::NODE_IP;

/// Bytes of a tuple of IPv4, by which the kernel tells it from one of IPv6.
const TUPLE_LEN: u32 = size_of::<bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1>() as u32;

/// Whether a packet belongs to a connection that a process of this node took. It goes on when its port becomes a service's, as it does
/// where connections are told apart before services are; new ones are the service's.
#[inline(always)]
pub(crate) fn is_connected(ctx: &TcContext, packet: &Packet) -> bool {
    if packet.protocol != TCP || packet.opens() || packet.destination != NODE_IP.load() {
        return false;
    }
    let ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
        saddr: packet.source,
        daddr: packet.destination,
        sport: packet.source_port,
        dport: packet.destination_port,
    };
    let mut tuple = bpf_sock_tuple {
        __bindgen_anon_1: bpf_sock_tuple__bindgen_ty_1 { ipv4 },
    };
    let here = BPF_F_CURRENT_NETNS as i64 as u64;
    // SAFETY: the tuple is as long as is said; the kernel copies it.
    let socket =
        unsafe { bpf_sk_lookup_tcp(ctx.skb.skb.cast(), &raw mut tuple, TUPLE_LEN, here, 0) };
    if socket.is_null() {
        return false;
    }
    // SAFETY: a socket that is held until it is released, once.
    unsafe {
        let state = (*socket).state;
        bpf_sk_release(socket.cast::<c_void>());
        // Who only listens has no connection yet.
        state != BPF_TCP_LISTEN
    }
}
