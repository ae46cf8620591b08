//! Later fragments carry no ports; the first one's are remembered for them.

use aya_ebpf::bindings::BPF_ANY;
use datapath_abi::address::Address;
use datapath_abi::nat::{Datagram, Ports};
use datapath_abi::reason;

use super::packet::{FRAGMENT_OFFSET, Ipv4, MORE_FRAGMENTS, Packet, Part};
use crate::maps::cilium_frags;

/// Remembers a first fragment's ports, or gives a later one those of its first.
#[inline(always)]
pub(crate) fn settle(packet: &mut Packet) -> Result<(), u8> {
    match packet.part {
        Part::Whole => Ok(()),
        Part::First => {
            remember(packet);
            Ok(())
        }
        Part::Later => recall(packet)
            .then_some(())
            .ok_or(reason::FRAGMENT_NOT_FOUND),
    }
}

/// Keeps what the later fragments lack.
#[inline(always)]
pub(crate) fn remember(packet: &Packet) {
    let ports = Ports {
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        icmp_type: packet.icmp_type,
        pad: [0; 3],
    };
    // A failure drops the later fragments: the sender sends again.
    let _ = cilium_frags.insert(&datagram(packet), &ports, u64::from(BPF_ANY));
}

/// `false`: the first fragment was not seen.
#[inline(always)]
pub(crate) fn recall(packet: &mut Packet) -> bool {
    let Some(ports) = cilium_frags.get_ptr(&datagram(packet)) else {
        return false;
    };
    // SAFETY: a map value of plain numbers.
    let Ports {
        source_port,
        destination_port,
        icmp_type,
        ..
    } = unsafe { *ports };
    packet.source_port = source_port;
    packet.destination_port = destination_port;
    packet.icmp_type = icmp_type;
    true
}

/// A first fragment begins a datagram that is not ours: what an earlier one with the same identification left is over.
#[inline(always)]
pub(crate) fn forget(header: &Ipv4) {
    if u16::from_be(header.fragment) & (MORE_FRAGMENTS | FRAGMENT_OFFSET) == MORE_FRAGMENTS {
        // Mostly there is none.
        let _absent = cilium_frags.remove(&key(
            header.source,
            header.destination,
            header.id,
            header.protocol,
        ));
    }
}

#[inline(always)]
fn datagram(packet: &Packet) -> Datagram {
    key(
        packet.source,
        packet.destination,
        packet.id,
        packet.protocol,
    )
}

#[inline(always)]
fn key(source: u32, destination: u32, id: u16, protocol: u8) -> Datagram {
    Datagram {
        source: Address::v4(source),
        destination: Address::v4(destination),
        id,
        protocol,
        pad: 0,
    }
}
