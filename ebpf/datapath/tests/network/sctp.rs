//! SCTP from end to end, with packets made by hand: this kernel has no sockets of SCTP, and raw ones carry it. Both ends count every
//! checksum anew and take no packet with a wrong one.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use crc::{CRC_32_ISCSI, Crc};
use datapath::{Protocol, Routing, Scope};
use nix::sys::socket::{SockaddrIn, bind};

use crate::balanced::{self, set};
use crate::cluster::{Cluster, Node, OUTSIDE, Services};
use crate::namespace::Namespace;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
const INIT: u8 = 1;
const DATA: u8 = 0;
const SERVICE: (Ipv4Addr, u16) = (Ipv4Addr::new(10, 96, 0, 10), 3868);
const NODE_PORT: u16 = 30_868;
const TARGET: u16 = 3900;
const PATIENCE: Duration = Duration::from_secs(2);

/// What is in a packet.
struct Packet {
    source_port: u16,
    port: u16,
    chunk: u8,
    value: Vec<u8>,
}

impl Packet {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = [self.source_port.to_be_bytes(), self.port.to_be_bytes()].concat();
        bytes.extend(*b"tag.\0\0\0\0");
        bytes.extend([self.chunk, 0]);
        let length = u16::try_from(4 + self.value.len()).unwrap();
        bytes.extend(length.to_be_bytes());
        bytes.extend(&self.value);
        let checksum = CRC32C.checksum(&bytes).to_le_bytes();
        bytes[8..12].copy_from_slice(&checksum);
        bytes
    }

    /// From an IPv4 packet. `None`: the checksum is wrong.
    fn read(ip: &[u8]) -> Option<Self> {
        let mut bytes = ip[usize::from(ip[0] & 15) * 4..].to_vec();
        let stated = u32::from_le_bytes(bytes[8..12].try_into().unwrap());
        bytes[8..12].fill(0);
        let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        (CRC32C.checksum(&bytes) == stated).then(|| Self {
            source_port: port(0),
            port: port(2),
            chunk: bytes[12],
            value: bytes[16..].to_vec(),
        })
    }
}

/// Its `send` takes a packet without the IP header, its `recv` gives one with it.
#[expect(unsafe_code, reason = "nix has no name for the protocol")]
fn raw() -> UdpSocket {
    // SAFETY: a plain system call, whose answer is ours alone.
    let socket = unsafe {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
        let socket = libc::socket(libc::AF_INET, kind, libc::IPPROTO_SCTP);
        assert!(socket >= 0, "{}", io::Error::last_os_error());
        OwnedFd::from_raw_fd(socket)
    };
    UdpSocket::from(socket)
}

/// Answers each packet to the address and port with the address it came from, a blank, and what was in it.
fn serve(namespace: &Namespace, ip: Ipv4Addr, port: u16) {
    namespace.run(move || {
        let socket = raw();
        let [a, b, c, d] = ip.octets();
        bind(socket.as_raw_fd(), &SockaddrIn::new(a, b, c, d, 0)).unwrap();
        thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let (length, peer) = socket.recv_from(&mut buffer).unwrap();
                let asked = Packet::read(&buffer[..length]);
                let Some(asked) = asked.filter(|asked| asked.port == port) else {
                    continue;
                };
                let seen = format!("{} ", peer.ip()).into_bytes();
                let answer = Packet {
                    source_port: port,
                    port: asked.source_port,
                    chunk: if asked.chunk == INIT { 2 } else { DATA },
                    value: [seen, asked.value].concat(),
                };
                drop(socket.send_to(&answer.bytes(), peer));
            }
        });
    });
}

/// Sends one packet and waits for the answer to it from where it went; what the server saw as its source.
fn ask(
    namespace: &Namespace,
    source_port: u16,
    (ip, port): (Ipv4Addr, u16),
    (chunk, length): (u8, usize),
) -> io::Result<IpAddr> {
    namespace.run(move || {
        let socket = raw();
        socket.set_read_timeout(Some(PATIENCE))?;
        // From nobody else does it take anything, and it hears of errors.
        socket.connect((ip, 0))?;
        let value = vec![7; length];
        let question = Packet {
            source_port,
            port,
            chunk,
            value: value.clone(),
        };
        socket.send(&question.bytes())?;
        let mut buffer = vec![0; 65_536];
        loop {
            let length = socket.recv(&mut buffer)?;
            let answer = Packet::read(&buffer[..length]).expect("a right checksum");
            if (answer.source_port, answer.port) != (port, source_port) {
                continue;
            }
            let blank = answer.value.iter().position(|byte| *byte == b' ').unwrap();
            assert_eq!(answer.value[blank + 1..], value);
            let seen = std::str::from_utf8(&answer.value[..blank]).unwrap();
            return Ok(seen.parse().unwrap());
        }
    })
}

/// Opens an association and says something in it; what the server saw as its source.
fn associate(namespace: &Namespace, source_port: u16, to: (Ipv4Addr, u16)) -> IpAddr {
    let [first, second] =
        [(INIT, 16), (DATA, 1212)].map(|chunk| ask(namespace, source_port, to, chunk).unwrap());
    assert_eq!(first, second);
    first
}

/// The service inside, and its node port outside.
fn publish(node: &Node, backends: &[(Ipv4Addr, u16)]) {
    let (ip, port) = SERVICE;
    let mut inside = balanced::service((ip, port, Protocol::Sctp, Scope::Inside), backends);
    inside.exclusive = true;
    set(node, inside);
    let at = (
        node.config.node_ip,
        NODE_PORT,
        Protocol::Sctp,
        Scope::Outside,
    );
    set(node, balanced::service(at, backends));
}

#[test]
fn pods_and_the_outside_associate_with_a_service_whose_endpoint_is_here_or_elsewhere() {
    for routing in [Routing::Tunnel, Routing::Native] {
        let cluster = Cluster::routed(routing, Services::BySocket);
        let [node, other] = &cluster.nodes[..] else {
            panic!("two nodes")
        };
        let client = node.pod(10);
        let at_node = (node.config.node_ip, NODE_PORT);
        let (near, far) = (node.pod(20), other.pod(20));
        for (number, (server, of_outside)) in (0..).zip([(&near, OUTSIDE), (&far, node.stand_in())])
        {
            serve(&server.namespace, server.ip, TARGET);
            publish(node, &[(server.ip, TARGET)]);
            let seen = associate(&client.namespace, 40_000 + number, SERVICE);
            assert_eq!(seen, client.ip);
            let seen = associate(&cluster.outside, 50_000 + number, at_node);
            assert_eq!(seen, of_outside, "{routing:?}");
            let seen = associate(&other.namespace, 51_000 + number, at_node);
            let as_host = if number == 0 {
                other.config.node_ip
            } else {
                node.stand_in()
            };
            assert_eq!(seen, as_host, "{routing:?}");
        }
    }
}

#[test]
fn a_host_may_be_the_endpoint_here_and_elsewhere() {
    let cluster = Cluster::new();
    let [node, other] = &cluster.nodes[..] else {
        panic!("two nodes")
    };
    let client = node.pod(10);
    let own = node.config.node_ip;
    for (number, (host, of_pod, of_outside)) in
        (0..).zip([(node, client.ip, OUTSIDE), (other, own, own)])
    {
        serve(&host.namespace, host.config.node_ip, TARGET);
        publish(node, &[(host.config.node_ip, TARGET)]);
        let seen = associate(&client.namespace, 40_000 + number, SERVICE);
        assert_eq!(seen, of_pod);
        let seen = associate(&cluster.outside, 50_000 + number, (own, NODE_PORT));
        assert_eq!(seen, of_outside);
    }
}

#[test]
fn a_pod_is_its_own_endpoint() {
    let cluster = Cluster::new();
    let pod = cluster.nodes[0].pod(10);
    serve(&pod.namespace, pod.ip, TARGET);
    publish(&cluster.nodes[0], &[(pod.ip, TARGET)]);
    let seen = associate(&pod.namespace, 40_000, SERVICE);
    assert_eq!(seen, Ipv4Addr::new(169, 254, 42, 1));
}

#[test]
fn pods_reach_the_outside_with_their_nodes_address_and_two_of_one_port_at_once() {
    let cluster = Cluster::new();
    serve(&cluster.outside, OUTSIDE, 3868);
    let node = &cluster.nodes[0];
    for pod in [node.pod(10), node.pod(11)] {
        let seen = associate(&pod.namespace, 40_000, (OUTSIDE, 3868));
        assert_eq!(seen, node.config.node_ip);
    }
}

#[test]
fn who_opens_where_nobody_answers_hears_of_it_at_once() {
    let cluster = Cluster::new();
    let node = &cluster.nodes[0];
    let client = node.pod(10);
    publish(node, &[]);
    let begun = Instant::now();
    for (from, to) in [
        (&client.namespace, SERVICE),
        (&cluster.outside, (node.config.node_ip, NODE_PORT)),
    ] {
        let refused = ask(from, 40_000, to, (INIT, 16)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
    }
    assert!(begun.elapsed() < PATIENCE);
}
