//! The kernel's tables of sockets: `/proc/PID/net/{tcp,tcp6,udp,udp6,unix}` (proc_pid_net(5)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// States of the column `st`: a TCP socket that listens, and a UDP socket that is not connected.
const TCP_LISTEN: &str = "0A";
const UDP_UNCONNECTED: &str = "07";
/// Flag of a unix socket that accepts connections (`__SO_ACCEPTCON`).
const ACCEPTS: u32 = 0x1_0000;

/// One internet socket that receives from anybody.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Internet {
    pub(super) address: IpAddr,
    pub(super) port: u16,
    pub(super) inode: u64,
}

/// The sockets of one table that listen, or (UDP) have no peer.
pub(super) fn internet(text: &str) -> Vec<Internet> {
    text.lines().skip(1).filter_map(line).collect()
}

fn line(line: &str) -> Option<Internet> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (local, state, inode) = (columns.get(1)?, columns.get(3)?, columns.get(9)?);
    if ![TCP_LISTEN, UDP_UNCONNECTED].contains(state) {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    Some(Internet {
        address: parse_address(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        inode: inode.parse().ok()?,
    })
}

/// Each group of eight digits is a word in the machine's byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for start in (0..hex.len()).step_by(8) {
        let word = u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes)
            .ok()
            .map(|four| Ipv4Addr::from(four).into()),
        16 => <[u8; 16]>::try_from(bytes)
            .ok()
            .map(|sixteen| Ipv6Addr::from(sixteen).into()),
        _ => None,
    }
}

/// Inode and path of each unix socket that accepts connections. One without a path can be reached by nobody else.
pub(super) fn unix(text: &str) -> Vec<(u64, &str)> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let flags = u32::from_str_radix(columns.get(3)?, 16).ok()?;
            let (inode, path) = (columns.get(6)?.parse().ok()?, *columns.get(7)?);
            (flags & ACCEPTS != 0).then_some((inode, path))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tcp_sockets_that_listen_are_taken() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2412 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x
   1: 0A001EAC:C2F8 0B001EAC:192B 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 x";
        let found = internet(text);
        assert_eq!(
            found,
            [Internet {
                address: "127.0.0.1".parse().unwrap(),
                port: 9234,
                inode: 4711
            }]
        );
    }

    #[test]
    fn a_udp_socket_of_the_kernel_has_no_inode() {
        let text = "  sl  local_address rem_address   st ...
  12: 00000000:2118 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 x 0";
        assert_eq!(
            internet(text),
            [Internet {
                address: "0.0.0.0".parse().unwrap(),
                port: 8472,
                inode: 0
            }]
        );
    }

    #[test]
    fn ipv6_addresses_are_read_word_by_word() {
        assert_eq!(
            parse_address("00000000000000000000000000000000"),
            Some("::".parse().unwrap())
        );
        assert_eq!(
            parse_address("0000000000000000FFFF00000100007F"),
            Some("::ffff:127.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn unix_sockets_that_accept_are_taken_with_their_path() {
        let text = "Num       RefCount Protocol Flags    Type St Inode Path
0: 00000002 00000000 00010000 0001 01 4713 /var/run/cilium/cilium.new
0: 00000003 00000000 00000000 0001 03 4714 /var/run/cilium/cilium.new
0: 00000002 00000000 00010000 0001 01 4715";
        assert_eq!(unix(text), [(4713, "/var/run/cilium/cilium.new")]);
    }
}
