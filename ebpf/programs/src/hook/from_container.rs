use aya_ebpf::btf_maps::lpm_trie::Key;
use aya_ebpf::macros::classifier;
use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::endpoint::{Endpoint, Source};
use datapath_abi::event::point;
use datapath_abi::{metric, reason};

use crate::config::{ROUTER_IP, TUNNEL_PORT, is_own_pod_range};
use crate::maps::{cilium_ipcache, cilium_lxc, cilium_lxc_source};
use crate::stage::admit::admit;
use crate::stage::packet::{
    ETHERTYPE_ARP, ETHERTYPE_IPV4, Ethernet, Packet, UDP, ethernet, parse, same_mac,
};
use crate::stage::party::Sender;
use crate::stage::service::LOOPBACK_IP;
use crate::stage::verdict::{PASS, Verdict, conclude};
use crate::stage::{arp, deliver, direct, flow, fragment, refuse, remote, service};

/// What a pod sends: tcx ingress of the host's side of its link.
#[classifier]
pub(crate) fn from_container(ctx: TcContext) -> i32 {
    let verdict = handle(&ctx);
    let action = conclude(&ctx, metric::EGRESS, verdict);
    match verdict {
        Ok(_) => action,
        Err(reason) => refuse::instead(&ctx, reason, action),
    }
}

#[inline(always)]
fn handle(ctx: &TcContext) -> Verdict {
    // SAFETY: fields of the context are readable; a map value of plain numbers.
    let (ifindex, tagged) = unsafe { ((*ctx.skb.skb).ifindex, (*ctx.skb.skb).vlan_present) };
    let source = cilium_lxc_source
        .get_ptr(&ifindex)
        .ok_or(reason::UNKNOWN_ENDPOINT)?;
    // SAFETY: as above.
    let source = unsafe { *source };
    if tagged != 0 {
        return Err(reason::VLAN);
    }
    // SAFETY: `ethernet` has checked the bounds.
    let Ethernet {
        source: sender,
        ethertype,
        ..
    } = unsafe { *ethernet(ctx)? };
    if !same_mac(sender, source.mac) {
        return Err(reason::INVALID_SOURCE_MAC);
    }
    match ethertype {
        ETHERTYPE_IPV4 => {}
        ETHERTYPE_ARP => return arp::from_pod(ctx, &source),
        // A pod has one IPv4 address and nothing else: whatever it says in IPv6 reaches nobody.
        _ => return Err(reason::UNSUPPORTED_L3),
    }
    let packet = parse(ctx)?;
    if packet.source != source.address.to_v4() {
        return Err(reason::INVALID_SOURCE_IP);
    }
    fragment::settle(packet)?;
    if packet.destination == LOOPBACK_IP {
        service::restore(ctx, packet)?;
    }
    route(ctx, packet, &source)
}

/// Where a packet goes.
enum Way {
    /// To a pod of this node.
    Pod(*const Endpoint),
    /// To a pod of another node.
    Node(u32),
    /// To anyone else.
    Stack,
}

/// Sends the packet where it belongs, if both ends' policies let it.
#[inline(always)]
fn route(ctx: &TcContext, packet: &mut Packet, source: &Source) -> Verdict {
    let mut way = way(packet.destination);
    if matches!(way, Way::Stack) && service::translate(ctx, packet)? {
        way = self::way(packet.destination);
    } else if packet.opens() {
        service::forget(packet);
    }
    if matches!(way, Way::Stack) {
        check_outside(packet)?;
        if answers_host(packet) {
            way = Way::Node(packet.destination);
        }
    }
    // A pod cannot be kept from itself, be it through a service.
    if packet.destination != source.address.to_v4() {
        let point = match way {
            Way::Pod(_) => point::TO_ENDPOINT,
            Way::Node(_) => remote::point(),
            Way::Stack => point::TO_STACK,
        };
        admit(ctx, packet, Sender::pod(source), point)?;
    }
    match way {
        Way::Pod(endpoint) => deliver::local(ctx, packet, endpoint),
        Way::Node(node) if remote::fits(ctx)? => remote::send(ctx, source.identity, node),
        // The stack cuts it into pieces, and its route leads them to `from_host` or, without a tunnel, to the node.
        Way::Node(_) => Ok(PASS),
        Way::Stack => Ok(PASS),
    }
}

/// One lookup for a pod of another node: no pod of ours has an address outside our range that another node holds.
#[inline(always)]
fn way(destination: u32) -> Way {
    let own = is_own_pod_range(destination);
    let address = Address::v4(destination);
    if !own {
        if let Some(node) = node_of(address) {
            return Way::Node(node);
        }
    }
    if let Some(endpoint) = cilium_lxc.get_ptr(&address) {
        return Way::Pod(endpoint);
    }
    if own {
        if let Some(node) = node_of(address) {
            return Way::Node(node);
        }
    }
    Way::Stack
}

/// Whether a packet is for a process of another node that asked from the node's own address: it asked through the tunnel, and would
/// take from nowhere else an answer that comes from a pod. One that asked for a service of this node is answered by the stack.
#[inline(always)]
fn answers_host(packet: &Packet) -> bool {
    !direct::is_on()
        && direct::is_node(packet.destination)
        && flow::answers(packet)
        && !service::is_answer(packet)
}

#[inline(always)]
fn node_of(address: Address) -> Option<u32> {
    cilium_ipcache
        .get(&Key::new(128, address))
        .and_then(|entry| (entry.has_tunnel != 0).then(|| entry.tunnel.to_v4()))
}

/// What no policy may open.
#[inline(always)]
fn check_outside(packet: &Packet) -> Result<(), u8> {
    // A pod that can send to the tunnel port speaks for other pods of its node.
    if packet.protocol == UDP && packet.destination_port == TUNNEL_PORT.load() {
        return Err(reason::ENCAPSULATION_PROHIBITED);
    }
    if is_own_pod_range(packet.destination) && packet.destination != ROUTER_IP.load() {
        return Err(reason::UNKNOWN_TARGET);
    }
    Ok(())
}
