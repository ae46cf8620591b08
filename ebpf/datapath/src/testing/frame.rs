use std::net::Ipv4Addr;

use super::{MAC, Packet};
use crate::Direction;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

const OWN_PORT: u16 = 40_000;

/// A frame that begins a connection. Nobody looks at checksums.
pub(super) fn build(packet: &Packet, pod: Ipv4Addr) -> Vec<u8> {
    let (source, destination) = match packet.direction {
        Direction::Egress => (pod, packet.address),
        Direction::Ingress => (packet.address, pod),
    };
    let l4 = transport(packet);
    let length = u16::try_from(20 + l4.len()).unwrap_or(u16::MAX);
    let mut frame = [MAC, MAC].concat();
    frame.extend([0x08, 0x00, 0x45, 0]);
    frame.extend(length.to_be_bytes());
    frame.extend([0, 1, 0, 0, 64, packet.protocol, 0, 0]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(l4);
    frame
}

fn transport(packet: &Packet) -> Vec<u8> {
    const SYN: u8 = 0x02;
    let mut l4 = match packet.protocol {
        ICMP => {
            let [icmp_type, _] = packet.port.to_le_bytes();
            let mut l4 = vec![icmp_type, 0, 0, 0];
            l4.extend(OWN_PORT.to_be_bytes());
            l4
        }
        _ => [OWN_PORT.to_be_bytes(), packet.port.to_be_bytes()].concat(),
    };
    match packet.protocol {
        TCP => l4.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, SYN, 0, 0, 0, 0, 0, 0]),
        UDP => l4.extend([0, 8, 0, 0]),
        SCTP => l4.extend([0; 8]),
        _ => l4.resize(20, 0),
    }
    l4
}
