//! The first bytes of a packet in one line, as `cilium monitor` shows them. Bytes come from the network: nothing is
//! believed about their number.

use std::net::Ipv4Addr;

/// What can be read of a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    /// Source and destination.
    pub ethernet: Option<(String, String)>,
    pub ether_type: u16,
    pub ip: Option<(Ipv4Addr, Ipv4Addr)>,
    pub protocol: u8,
    pub ports: Option<(u16, u16)>,
    pub tcp_flags: u8,
    /// Type and code.
    pub icmp: Option<(u8, u8)>,
}

const IPV4: u16 = 0x0800;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const SCTP: u8 = 132;

impl Packet {
    /// Stops at the first part that is cut off or unknown.
    pub fn read(bytes: &[u8]) -> Self {
        let mut packet = Self::default();
        let _cut_off = packet.read_ethernet(bytes);
        packet
    }

    /// Two hexadecimal digits a byte; what follows the first that is none is left out.
    pub fn read_hexadecimal(text: &str) -> Self {
        let bytes: Vec<u8> = text
            .as_bytes()
            .chunks_exact(2)
            .map_while(|pair| {
                std::str::from_utf8(pair)
                    .ok()
                    .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            })
            .collect();
        Self::read(&bytes)
    }

    fn read_ethernet(&mut self, bytes: &[u8]) -> Option<()> {
        let (header, rest) = bytes.split_at_checked(14)?;
        self.ethernet = Some((mac(&header[6..12]), mac(&header[..6])));
        self.ether_type = number(&header[12..])?;
        if self.ether_type == IPV4 {
            self.read_ipv4(rest)?;
        }
        Some(())
    }

    fn read_ipv4(&mut self, bytes: &[u8]) -> Option<()> {
        let header: &[u8; 20] = bytes.first_chunk()?;
        let address =
            |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
        self.ip = Some((address(12), address(16)));
        self.protocol = header[9];
        let length = usize::from(header[0] & 0xf) * 4;
        // Only the first fragment has what follows.
        let offset = number(&header[6..8])? & 0x1fff;
        if length < 20 || offset != 0 {
            return None;
        }
        let rest = bytes.get(length..)?;
        match self.protocol {
            TCP | UDP | SCTP => {
                self.ports = Some((number(rest.get(..2)?)?, number(rest.get(2..4)?)?));
                if self.protocol == TCP {
                    self.tcp_flags = *rest.get(13)?;
                }
            }
            ICMP => self.icmp = Some((*rest.first()?, *rest.get(1)?)),
            _ => {}
        }
        Some(())
    }

    pub fn protocol_name(&self) -> Option<&'static str> {
        Some(match self.protocol {
            TCP => "tcp",
            UDP => "udp",
            SCTP => "sctp",
            ICMP => "icmp",
            _ => return None,
        })
    }

    /// `1.1.1.1:2000 -> 2.2.2.2:80 tcp SYN`, or as much of it as there is.
    pub fn summary(&self) -> String {
        let Some((source, destination)) = self.ip else {
            return match &self.ethernet {
                Some((source, destination)) => {
                    format!("{source} -> {destination} {}", ether_type(self.ether_type))
                }
                None => "[unknown]".to_owned(),
            };
        };
        if let Some(icmp) = self.icmp {
            return format!("{source} -> {destination} {}", icmp_name(icmp));
        }
        match (self.ports, self.protocol_name()) {
            (Some((from, to)), Some(name)) => {
                let flags = if self.protocol == TCP {
                    format!(" {}", flag_names(self.tcp_flags))
                } else {
                    String::new()
                };
                format!("{source}:{from} -> {destination}:{to} {name}{flags}")
            }
            _ => format!("{source} -> {destination}"),
        }
    }
}

fn number(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|two| u16::from_be_bytes(*two))
}

fn mac(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect::<Vec<_>>()
        .join(":")
}

fn flag_names(flags: u8) -> String {
    [(2, "SYN"), (16, "ACK"), (4, "RST"), (1, "FIN")]
        .into_iter()
        .filter(|(bit, _)| flags & bit != 0)
        .map(|(_, name)| name)
        .collect::<Vec<_>>()
        .join(", ")
}

fn ether_type(number: u16) -> String {
    match number {
        0x0806 => "ARP".to_owned(),
        0x86dd => "IPv6".to_owned(),
        other => format!("{other:#06x}"),
    }
}

/// As Cilium's packet library words them.
fn icmp_name((kind, code): (u8, u8)) -> String {
    match (kind, code) {
        (0, _) => "EchoReply".to_owned(),
        (8, _) => "EchoRequest".to_owned(),
        (3, 0) => "DestinationUnreachable(Net)".to_owned(),
        (3, 1) => "DestinationUnreachable(Host)".to_owned(),
        (3, 3) => "DestinationUnreachable(Port)".to_owned(),
        (3, 4) => "DestinationUnreachable(FragmentationNeeded)".to_owned(),
        (11, 0) => "TimeExceeded(TTLExceeded)".to_owned(),
        (kind, code) => format!("{kind}({code})"),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn frame(protocol: u8, fragment: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        bytes.extend([0x45, 0, 0, 40, 0, 1]);
        bytes.extend(fragment.to_be_bytes());
        bytes.extend([64, protocol, 0, 0, 10, 244, 1, 5, 10, 244, 2, 6]);
        bytes.extend(rest);
        bytes
    }

    fn summary(bytes: &[u8]) -> String {
        Packet::read(bytes).summary()
    }

    #[test]
    fn a_connection_attempt_reads_as_one() {
        let tcp = [0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2];
        assert_eq!(
            summary(&frame(TCP, 0, &tcp)),
            "10.244.1.5:40000 -> 10.244.2.6:80 tcp SYN"
        );
    }

    #[test]
    fn an_echo_request_is_named() {
        assert_eq!(
            summary(&frame(ICMP, 0, &[8, 0])),
            "10.244.1.5 -> 10.244.2.6 EchoRequest"
        );
    }

    #[test]
    fn bytes_of_a_later_fragment_are_not_taken_for_ports() {
        assert_eq!(
            summary(&frame(UDP, 185, &[0, 53, 0, 53])),
            "10.244.1.5 -> 10.244.2.6"
        );
    }

    #[test]
    fn other_frames_show_their_addresses() {
        let mut arp = vec![0xff; 6];
        arp.extend([2, 0, 0, 0, 0, 1, 8, 6]);
        assert_eq!(summary(&arp), "02:00:00:00:00:01 -> ff:ff:ff:ff:ff:ff ARP");
    }

    #[test]
    fn a_packet_cut_off_anywhere_is_read_as_far_as_it_goes() {
        let tcp = [0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2];
        let whole = frame(TCP, 0, &tcp);
        for length in 0..whole.len() {
            let text = summary(&whole[..length]);
            assert_eq!(text == "[unknown]", length < 14, "{length}: {text}");
        }
        let mut short_header = whole;
        short_header[14] = 0x41;
        assert_eq!(summary(&short_header), "10.244.1.5 -> 10.244.2.6");
    }
}
