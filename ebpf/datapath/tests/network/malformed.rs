//! What comes out of a real tunnel and is no proper packet: it reaches nobody, and is counted once.

use std::net::{Ipv4Addr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use datapath::{Datapath, Direction, PolicyEntry, PolicyKey, Verdict};
use datapath_abi::reason::{
    FRAGMENT_NOT_FOUND, INVALID_PACKET, POLICY_DENIED, TRUNCATED_L4, UNSUPPORTED_L3,
};

use crate::cluster::{ALLOW_ALL, Cluster, Node, Pod, TUNNEL_PORT, rules};
use crate::ownership::{checksum, refused, send, tunnel_packet};
use crate::traffic::Ear;

/// The port that is open, and one that is not.
const OPEN: u16 = 80;
const SHUT: u16 = 81;
/// Where headers begin in a packet of the tunnel.
const FRAME: usize = 8;
const IP: usize = FRAME + 14;
const TCP: usize = IP + 20;

/// A pod that takes TCP at one port, and whoever listens at its link.
fn target(node: &Node) -> (Pod, Ear) {
    let pod = node.pod(20);
    let mut entries = rules(Verdict::DefaultDeny);
    let key = PolicyKey {
        identity: 0,
        direction: Direction::Ingress,
        protocol: 6,
        port: OPEN,
        port_bits: 16,
    };
    let verdict = Verdict::Allow;
    entries.insert(key, PolicyEntry { verdict, cookie: 1 });
    node.datapath(move |datapath| datapath.set_policy(ALLOW_ALL, &entries).unwrap());
    let ear = Ear::at(&pod);
    (pod, ear)
}

/// What a pod of the first node sends to open a connection.
fn segment(target: Ipv4Addr, port: u16) -> Vec<u8> {
    let mut packet = tunnel_packet(Ipv4Addr::new(10, 244, 1, 10), target);
    packet.truncate(TCP);
    packet.extend(40_000_u16.to_be_bytes());
    packet.extend(port.to_be_bytes());
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, 2, 0xff, 0xff, 0, 0, 0, 0]);
    changed(packet, &[(IP + 2, &[0, 40]), (IP + 9, &[6])])
}

/// With these bytes in those places, and the right checksum of the header.
fn changed(mut packet: Vec<u8>, changes: &[(usize, &[u8])]) -> Vec<u8> {
    for (at, bytes) in changes {
        packet[*at..at + bytes.len()].copy_from_slice(bytes);
    }
    packet[IP + 10..IP + 12].fill(0);
    let sum = checksum(&packet[IP..TCP]);
    packet[IP + 10..IP + 12].copy_from_slice(&sum);
    packet
}

/// What came out of the tunnel, wherever it went.
fn counted(node: &Node) -> u64 {
    let counters = node.datapath(|datapath| datapath.counters().unwrap());
    let came = counters
        .iter()
        .filter(|c| c.direction == Direction::Ingress);
    came.map(|c| c.packets).sum()
}

/// Bytes, and the place in a packet of the tunnel where they are written.
type Change = (usize, &'static [u8]);

/// What is wrong with a packet, how it comes to be so, and as what it is dropped.
const LIES: &[(&str, &[Change], u8)] = &[
    ("a shut port", &[(TCP + 2, &[0, 81])], POLICY_DENIED),
    ("IPv6 by its header", &[(IP, &[0x65])], INVALID_PACKET),
    ("an IP header of 16 bytes", &[(IP, &[0x44])], INVALID_PACKET),
    (
        "an IP header longer than all",
        &[(IP, &[0x4f])],
        INVALID_PACKET,
    ),
    ("a length of 0", &[(IP + 2, &[0, 0])], INVALID_PACKET),
    (
        "a length without a header",
        &[(IP + 2, &[0, 19])],
        INVALID_PACKET,
    ),
    (
        "a length without a segment",
        &[(IP + 2, &[0, 30])],
        TRUNCATED_L4,
    ),
    (
        "a length beyond the frame",
        &[(IP + 2, &[0, 41])],
        INVALID_PACKET,
    ),
    (
        "a TCP header of 16 bytes",
        &[(TCP + 12, &[0x40])],
        TRUNCATED_L4,
    ),
    (
        "a TCP header longer than all",
        &[(TCP + 12, &[0xf0])],
        TRUNCATED_L4,
    ),
    (
        "UDP longer than all",
        &[(IP + 9, &[17]), (TCP + 4, &[0, 21])],
        TRUNCATED_L4,
    ),
    (
        "a first fragment without all ports' header",
        &[(IP + 2, &[0, 27]), (IP + 6, &[0x20, 0])],
        INVALID_PACKET,
    ),
    (
        "a fragment over the TCP header",
        &[(IP + 6, &[0, 1])],
        INVALID_PACKET,
    ),
    (
        "a fragment without a first",
        &[(IP + 6, &[0, 100])],
        FRAGMENT_NOT_FOUND,
    ),
    (
        "another network protocol",
        &[(FRAME + 12, &[0x88, 0x64])],
        UNSUPPORTED_L3,
    ),
];

#[test]
fn a_packet_from_the_tunnel_that_contradicts_itself_reaches_nobody() {
    let cluster = Cluster::new();
    let [sender, receiver] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let (pod, ear) = target(receiver);
    let to = receiver.config.node_ip;
    let proper = segment(pod.ip, OPEN);
    for (what, changes, why) in LIES {
        let before = refused(receiver, *why);
        send(&sender.namespace, to, changed(proper.clone(), changes));
        assert_eq!(refused(receiver, *why), before + 1, "{what}");
        assert_eq!(ear.heard(), Vec::<Vec<u8>>::new(), "{what}");
    }
    send(&sender.namespace, to, proper);
    assert_eq!(ear.heard().len(), 1, "as it was, it arrives");
}

/// Sends many at once.
fn send_all(cluster: &Cluster, packets: Vec<Vec<u8>>) {
    let to = (cluster.nodes[1].config.node_ip, TUNNEL_PORT);
    cluster.nodes[0].namespace.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for packet in packets {
            socket.send_to(&packet, to).unwrap();
        }
    });
    sleep(Duration::from_millis(200));
}

#[test]
fn a_packet_in_the_tunnel_cut_off_anywhere_reaches_nobody() {
    let cluster = Cluster::new();
    let receiver = &cluster.nodes[1];
    let (pod, ear) = target(receiver);
    let proper = segment(pod.ip, OPEN);
    // The kernel's own tunnel takes nothing without a whole IPv4 header.
    for lengths in [0..TCP, TCP..proper.len()] {
        let before = refused(receiver, INVALID_PACKET);
        let seen = if lengths.start < TCP {
            0
        } else {
            lengths.len()
        };
        let cut = lengths.map(|length| proper[..length].to_vec());
        send_all(&cluster, cut.collect());
        let refused = refused(receiver, INVALID_PACKET) - before;
        assert_eq!(usize::try_from(refused), Ok(seen));
        assert_eq!(ear.heard(), Vec::<Vec<u8>>::new());
    }
    send_all(&cluster, vec![proper]);
    assert_eq!(ear.heard().len(), 1);
}

#[test]
fn no_changed_byte_of_a_packet_in_the_tunnel_opens_a_port() {
    let cluster = Cluster::new();
    let receiver = &cluster.nodes[1];
    let (pod, ear) = target(receiver);
    let proper = segment(pod.ip, SHUT);
    // Three values never make the open port out of the shut one, nor another protocol's rule, as there is none.
    for value in [0, 0x7f, 0xff] {
        let before = counted(receiver);
        let places = FRAME..proper.len();
        let sent = u64::try_from(places.len()).unwrap();
        let packets = places.map(|at| {
            let mut packet = proper.clone();
            packet[at] = value;
            packet
        });
        send_all(&cluster, packets.collect());
        assert_eq!(counted(receiver), before + sent, "{value}");
        assert_eq!(ear.heard(), Vec::<Vec<u8>>::new(), "{value}");
    }
    send_all(&cluster, vec![segment(pod.ip, OPEN)]);
    assert_eq!(ear.heard().len(), 1);
}
