//! Frames for the injector, byte by byte: honest ones, and, since every field is given, lies. Pure.

use std::net::{Ipv4Addr, SocketAddrV4};

/// UDP port of VXLAN as Cilium and Linux use it.
pub const VXLAN_PORT: u16 = 8472;

const IPV4: u16 = 0x0800;
const UDP: u8 = 17;
const TCP: u8 = 6;
const ICMP: u8 = 1;

/// A frame of Ethernet II.
pub fn ethernet(source: [u8; 6], destination: [u8; 6], packet: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + packet.len());
    frame.extend(destination);
    frame.extend(source);
    frame.extend(IPV4.to_be_bytes());
    frame.extend(packet);
    frame
}

/// An IPv4 packet with a UDP datagram, checksums right (RFC 791, RFC 768).
pub fn udp(source: SocketAddrV4, destination: SocketAddrV4, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap_or(u16::MAX);
    let mut datagram = Vec::with_capacity(usize::from(length));
    datagram.extend(source.port().to_be_bytes());
    datagram.extend(destination.port().to_be_bytes());
    datagram.extend(length.to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    let sum = transport_checksum(*source.ip(), *destination.ip(), UDP, &datagram);
    // RFC 768: a sum of zero is sent as all ones, since zero means "none".
    let sum = if sum == 0 { u16::MAX } else { sum };
    datagram[6..8].copy_from_slice(&sum.to_be_bytes());
    ipv4(*source.ip(), *destination.ip(), UDP, &datagram)
}

/// An IPv4 packet with the first segment of a TCP connection (RFC 9293): only SYN set, no options.
pub fn tcp_syn(source: SocketAddrV4, destination: SocketAddrV4, sequence: u32) -> Vec<u8> {
    let mut segment = Vec::with_capacity(20);
    segment.extend(source.port().to_be_bytes());
    segment.extend(destination.port().to_be_bytes());
    segment.extend(sequence.to_be_bytes());
    segment.extend(0u32.to_be_bytes());
    segment.extend([5 << 4, 0x02]);
    segment.extend(64_240u16.to_be_bytes());
    segment.extend([0; 4]);
    let sum = transport_checksum(*source.ip(), *destination.ip(), TCP, &segment);
    segment[16..18].copy_from_slice(&sum.to_be_bytes());
    ipv4(*source.ip(), *destination.ip(), TCP, &segment)
}

/// An IPv4 packet with an ICMP echo request (RFC 792).
pub fn echo_request(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    identifier: u16,
    sequence: u16,
) -> Vec<u8> {
    let mut message = vec![8, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    ipv4(source, destination, ICMP, &message)
}

/// An IPv4 packet without options, time to live 64.
pub fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX);
    let mut packet = Vec::with_capacity(usize::from(length));
    packet.extend([0x45, 0]);
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
    packet.extend(source.octets());
    packet.extend(destination.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// The payload of a VXLAN datagram (RFC 7348 §5): header with the VNI's low 24 bits, then a whole frame.
pub fn vxlan(vni: u32, inner: &[u8]) -> Vec<u8> {
    let mut payload = vec![0x08, 0, 0, 0];
    payload.extend((vni << 8).to_be_bytes());
    payload.extend(inner);
    payload
}

fn transport_checksum(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    segment: &[u8],
) -> u16 {
    let mut covered = Vec::with_capacity(12 + segment.len());
    covered.extend(source.octets());
    covered.extend(destination.octets());
    covered.extend([0, protocol]);
    covered.extend(
        u16::try_from(segment.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    covered.extend(segment);
    checksum(&covered)
}

/// The internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([
            pair[0],
            pair.get(1).copied().unwrap_or(0),
        ]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_header_checksum_is_that_of_a_known_packet() {
        let packet = ipv4(
            "192.168.0.1".parse().unwrap(),
            "192.168.0.199".parse().unwrap(),
            UDP,
            &[0; 95],
        );
        assert_eq!(packet.len(), 115);
        assert_eq!(
            checksum(&packet[..20]),
            0,
            "a header sums to zero with its checksum in it"
        );
        assert_eq!(&packet[..4], [0x45, 0, 0, 115]);
    }

    #[test]
    fn a_vxlan_header_carries_the_vni_in_its_upper_three_bytes() {
        assert_eq!(
            vxlan(0x0001_0203, &[0xaa]),
            [0x08, 0, 0, 0, 0x01, 0x02, 0x03, 0, 0xaa]
        );
    }

    proptest! {
        #[test]
        fn transport_checksums_hold_for_any_payload(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let (a, b): (SocketAddrV4, SocketAddrV4) = ("10.0.0.1:1000".parse().unwrap(), "10.0.0.2:53".parse().unwrap());
            let packet = udp(a, b, &payload);
            let sum = transport_checksum(*a.ip(), *b.ip(), UDP, &packet[20..]);
            prop_assert!(sum == 0 || sum == u16::MAX);
        }
    }
}
