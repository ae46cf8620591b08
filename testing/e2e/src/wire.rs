//! What a frame on the nodes' network carries between two pods.

use std::net::Ipv4Addr;

use gloonet_lab::frame::VXLAN_PORT;

/// How a packet of a pod gets to a pod of another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As it is.
    Native,
    /// In a tunnel between the nodes.
    Tunnel,
}

/// Ethernet's header, and where its kind is.
const ETHERNET: usize = 14;
const IPV4: [u8; 2] = [0x08, 0x00];
/// Headers of IPv4 without options, UDP and VXLAN.
const OUTER: usize = 20 + 8 + 8;
const UDP: u8 = 17;

/// The way of a frame that carries a packet from one pod to another; nothing for any other frame.
pub fn way(frame: &[u8], from: Ipv4Addr, to: Ipv4Addr) -> Option<Way> {
    if ends(frame)? == (from, to) {
        return Some(Way::Native);
    }
    let tunnelled = frame.get(ETHERNET + 9) == Some(&UDP)
        && frame.get(ETHERNET + 22..ETHERNET + 24) == Some(&VXLAN_PORT.to_be_bytes());
    let inner = frame.get(ETHERNET + OUTER..).filter(|_| tunnelled)?;
    (ends(inner)? == (from, to)).then_some(Way::Tunnel)
}

/// Source and destination of the packet in a frame.
fn ends(frame: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if frame.get(12..ETHERNET)? != IPV4 {
        return None;
    }
    let address = |at: usize| {
        let bytes: [u8; 4] = frame
            .get(ETHERNET + at..ETHERNET + at + 4)?
            .try_into()
            .ok()?;
        Some(Ipv4Addr::from(bytes))
    };
    Some((address(12)?, address(16)?))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use gloonet_lab::frame;

    use super::*;

    const PODS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 244, 1, 5), Ipv4Addr::new(10, 244, 2, 6)];
    const NODES: [Ipv4Addr; 2] = [Ipv4Addr::new(172, 30, 0, 11), Ipv4Addr::new(172, 30, 0, 12)];

    fn plain(ends: [Ipv4Addr; 2], port: u16, payload: &[u8]) -> Vec<u8> {
        let [from, to] = ends.map(|ip| SocketAddrV4::new(ip, port));
        frame::ethernet([2; 6], [4; 6], &frame::udp(from, to, payload))
    }

    #[test]
    fn a_packet_of_the_pods_is_told_with_and_without_a_tunnel_and_from_any_other() {
        let native = plain(PODS, 9, b"x");
        let tunnelled = plain(NODES, VXLAN_PORT, &frame::vxlan(300, &native));
        let [from, to] = PODS;
        assert_eq!(way(&native, from, to), Some(Way::Native));
        assert_eq!(way(&tunnelled, from, to), Some(Way::Tunnel));
        for frame in [&native, &tunnelled] {
            assert_eq!(way(frame, to, from), None, "the other way round");
        }
        let elsewhere = plain(NODES, VXLAN_PORT + 1, &frame::vxlan(300, &native));
        assert_eq!(way(&elsewhere, from, to), None, "at another port");
        assert_eq!(way(&native[..30], from, to), None, "cut off");
    }
}
