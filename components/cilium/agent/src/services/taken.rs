//! Node ports and host ports that a process of the node has, too. Pure.
//!
//! The Service gets what comes from outside; the process keeps its open connections and hears of no new ones from there. Where a
//! Service names an address itself the process wins: see `reserved`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use datapath::{Protocol, Scope};

use super::Kept;

/// States of the kernel's list: a TCP socket that listens, and a UDP socket without a peer.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// Lines of the kernel's lists `tcp`, `tcp6`, `udp` and `udp6` below `/proc/net`.
#[derive(Debug, Default)]
pub struct Sockets {
    pub tcp: Vec<String>,
    pub udp: Vec<String>,
}

/// Whether a line of a list of TCP is about a socket that listens. The kernel lists these first.
pub fn listens(line: &str) -> bool {
    line.split_whitespace().nth(3) == Some(LISTENS)
}

/// Every port that a Service has at `node` with a process at it that is no endpoint of the Service, as a sentence.
pub fn taken(kept: &Kept, sockets: &Sockets, node: Ipv4Addr) -> BTreeSet<String> {
    let tcp = ports(&sockets.tcp, LISTENS, node);
    let udp = ports(&sockets.udp, UNCONNECTED, node);
    let at_node = kept
        .frontends()
        .filter(|one| one.scope == Scope::Outside && one.ip == node);
    at_node
        .filter_map(|frontend| {
            let (ports, protocol) = match frontend.protocol {
                Protocol::Tcp => (&tcp, "TCP"),
                Protocol::Udp => (&udp, "UDP"),
                Protocol::Sctp => return None,
            };
            let port = frontend.port;
            let (claimant, balanced) = kept.at(frontend).filter(|_| ports.contains(&port))?;
            let mut ends = balanced.backends.iter();
            let its_own = ends.any(|end| (end.ip, end.port) == (node, port));
            (!its_own).then(|| {
                format!(
                    "a process listens at {protocol} port {port}, which {claimant} has at every node: what comes from outside goes to \
                     {claimant}; give one of them another port"
                )
            })
        })
        .collect()
}

/// Addresses and ports at which a process of the node waits for whoever comes there.
pub type Processes = BTreeSet<(Ipv4Addr, Protocol, u16)>;

/// Those at addresses of the node.
pub fn processes(sockets: &Sockets, node: [Ipv4Addr; 2]) -> Processes {
    let at = |ip| {
        let tcp = ports(&sockets.tcp, LISTENS, ip).into_iter();
        let udp = ports(&sockets.udp, UNCONNECTED, ip).into_iter();
        let tcp = tcp.map(move |port| (ip, Protocol::Tcp, port));
        tcp.chain(udp.map(move |port| (ip, Protocol::Udp, port)))
    };
    node.into_iter().flat_map(at).collect()
}

/// Ports at which somebody waits for whoever comes to the node's address.
fn ports(lines: &[String], state: &str, node: Ipv4Addr) -> BTreeSet<u16> {
    let port_of = |line: &String| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, _, its) = (fields.next()?, fields.next()?, fields.next()?);
        let (address, port) = local.split_once(':')?;
        let reached = its == state && is_reached(address, node)?;
        u16::from_str_radix(port, 16).ok().filter(|_| reached)
    };
    lines.iter().filter_map(port_of).collect()
}

/// Whether a socket with this address, in the kernel's digits, hears what comes to the node's.
fn is_reached(digits: &str, node: Ipv4Addr) -> Option<bool> {
    let words: Option<Vec<[u8; 4]>> = (0..digits.len())
        .step_by(8)
        .map(|at| u32::from_str_radix(digits.get(at..at + 8)?, 16).ok())
        .map(|word| word.map(u32::to_ne_bytes))
        .collect();
    match words?.as_slice() {
        [v4] => Some([Ipv4Addr::UNSPECIFIED, node].contains(&Ipv4Addr::from(*v4))),
        [a, b, c, d] => {
            let octets: [u8; 16] = [*a, *b, *c, *d].concat().try_into().ok()?;
            let v6 = Ipv6Addr::from(octets);
            Some(v6.is_unspecified() || v6.to_ipv4_mapped() == Some(node))
        }
        _ => None,
    }
}
