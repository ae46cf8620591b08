use proptest::prelude::*;

use super::*;

const TCP_SYN: &[u8] = &[
    0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00, // Ethernet
    0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 1, 2, // IPv4
    0x9c, 0x40, 0x00, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x02, 0, 0, 0, 0, 0, 0, // TCP
];

fn ip(source: &str, destination: &str) -> Ip {
    Ip {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn ipv6_packet(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 0, next, 64]);
    bytes.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
    bytes.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
    bytes.extend(payload);
    bytes
}

#[test]
fn a_tcp_packet_is_read_to_its_flags() {
    let headers = read(TCP_SYN);
    assert_eq!(headers.ethernet.unwrap().source, [2, 0, 0, 0, 0, 1]);
    assert_eq!(headers.ip, Some(ip("10.0.0.1", "10.0.1.2")));
    assert_eq!(
        headers.l4,
        Some(L4::Tcp {
            source: 40000,
            destination: 80,
            flags: 2
        })
    );
}

#[test]
fn a_vlan_tag_is_passed_over() {
    let mut tagged = TCP_SYN[..12].to_vec();
    tagged.extend([0x81, 0x00, 0x00, 0x07]);
    tagged.extend(&TCP_SYN[12..]);
    assert_eq!(read(&tagged).l4, read(TCP_SYN).l4);
}

#[test]
fn a_later_fragment_has_addresses_and_no_ports() {
    let mut fragment = TCP_SYN.to_vec();
    fragment[20..22].copy_from_slice(&[0x00, 0xb9]);
    let headers = read(&fragment);
    assert_eq!(headers.ip, Some(ip("10.0.0.1", "10.0.1.2")));
    assert_eq!(headers.l4, None);
}

#[test]
fn the_first_fragment_has_ports() {
    let mut fragment = TCP_SYN.to_vec();
    fragment[20..22].copy_from_slice(&[0x20, 0x00]);
    assert!(read(&fragment).l4.is_some());
}

#[test]
fn ipv6_extension_headers_are_passed_over() {
    let udp = [0, 53, 0x13, 0x88, 0, 8, 0, 0];
    let hop_by_hop = [&[17, 0, 0, 0, 0, 0, 0, 0][..], &udp].concat();
    let headers = read(&ipv6_packet(0, &hop_by_hop));
    assert_eq!(headers.ip, Some(ip("fd00::1", "fd00::2")));
    assert_eq!(
        headers.l4,
        Some(L4::Udp {
            source: 53,
            destination: 5000
        })
    );
}

#[test]
fn a_later_ipv6_fragment_has_no_ports() {
    let fragment = [&[17, 0, 0, 8, 0, 0, 0, 1][..], &[0, 53, 0, 53]].concat();
    assert_eq!(read(&ipv6_packet(44, &fragment)).l4, None);
}

#[test]
fn icmp_vrrp_igmp_and_sctp_are_told_apart() {
    assert_eq!(l4(ICMP, &[8, 0]), Some(L4::Icmpv4 { kind: 8, code: 0 }));
    assert_eq!(
        l4(ICMPV6, &[128, 0]),
        Some(L4::Icmpv6 { kind: 128, code: 0 })
    );
    assert_eq!(
        l4(VRRP, &[0x21, 7, 100]),
        Some(L4::Vrrp {
            kind: 1,
            router: 7,
            priority: 100
        })
    );
    assert_eq!(
        l4(IGMP, &[0x16, 0, 0, 0, 224, 0, 0, 251]),
        Some(L4::Igmp {
            kind: 0x16,
            group: Ipv4Addr::new(224, 0, 0, 251)
        })
    );
    assert_eq!(
        l4(SCTP, &[0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        Some(L4::Sctp {
            source: 1,
            destination: 2,
            chunk: Some(1)
        })
    );
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..160)) {
        let _ = read(&bytes);
    }

    #[test]
    fn arbitrary_bytes_behind_a_good_ethernet_header_never_panic(
        six in any::<bool>(), bytes in proptest::collection::vec(any::<u8>(), 0..160)
    ) {
        let mut packet = TCP_SYN[..12].to_vec();
        packet.extend(if six { [0x86, 0xdd, 0x60] } else { [0x08, 0x00, 0x45] });
        packet.extend(bytes);
        let _ = read(&packet);
    }

    #[test]
    fn what_was_read_of_a_cut_packet_is_what_the_whole_packet_says(cut in 0..TCP_SYN.len()) {
        let (whole, part) = (read(TCP_SYN), read(&TCP_SYN[..cut]));
        prop_assert!(part.ethernet.is_none() || part.ethernet == whole.ethernet);
        prop_assert!(part.ip.is_none() || part.ip == whole.ip);
        prop_assert!(part.l4.is_none() || part.l4 == whole.l4);
    }
}
