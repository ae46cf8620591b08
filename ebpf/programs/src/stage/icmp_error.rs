//! ICMP errors ("fragmentation needed" above all) about packets that were translated here: each takes the way of the flow it is about,
//! and quotes what its receiver has sent.

use core::mem::offset_of;

use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::nat::{FORWARD, REVERSE, Target, Tuple};
use datapath_abi::reason;

use super::packet::{FRAGMENT_OFFSET, ICMP, ICMP_ECHO, Ipv4, Packet, Part, has_ports, is_error};
use super::rewrite::{End, rewrite};
use super::service::LOOPBACK_IP;
use crate::config::{NODE_IP, is_own_pod_range};
use crate::maps::{cilium_ct_service, cilium_lxc, cilium_snat};

const ICMP_HEADER: usize = 8;
const WITHOUT_OPTIONS: u8 = 0x45;
/// Bytes of the quoted packet's payload that every error has (RFC 792).
const QUOTED_PAYLOAD: usize = 8;

/// The packet that an error is about.
struct Quoted {
    /// Offset of its header from the start of the frame.
    at: usize,
    source: u32,
    destination: u32,
    /// For ICMP echo: the identifier.
    source_port: u16,
    destination_port: u16,
    protocol: u8,
}

impl Quoted {
    /// Reads it. `None`: the packet is no error, or not one about a packet of its receiver whose ports can be read.
    #[inline(always)]
    fn read(ctx: &TcContext, packet: &Packet) -> Option<Self> {
        const SHORTEST: usize = ICMP_HEADER + size_of::<Ipv4>() + QUOTED_PAYLOAD;
        if packet.part != Part::Whole
            || !is_error(packet.protocol, packet.icmp_type)
            || usize::from(packet.length) < SHORTEST
        {
            return None;
        }
        let at = packet.l4 + ICMP_HEADER;
        let header = ctx.load::<Ipv4>(at).ok()?;
        // Options would move the ports, and a later fragment has none.
        if header.version_length != WITHOUT_OPTIONS
            || u16::from_be(header.fragment) & FRAGMENT_OFFSET != 0
            || header.source != packet.destination
        {
            return None;
        }
        let words = ctx.load::<[u16; 4]>(at + size_of::<Ipv4>()).ok()?;
        let (source_port, destination_port) = match header.protocol {
            protocol if has_ports(protocol) => (words[0], words[1]),
            ICMP if words[0].to_ne_bytes()[0] == ICMP_ECHO => (words[2], 0),
            _ => return None,
        };
        Some(Self {
            at,
            source: header.source,
            destination: header.destination,
            source_port,
            destination_port,
            protocol: header.protocol,
        })
    }

    /// The key of a packet that the quoted one answers.
    #[inline(always)]
    fn answered(&self, direction: u8) -> Tuple {
        let source = (self.destination, self.destination_port);
        let destination = (self.source, self.source_port);
        Tuple::between(source, destination, self.protocol, direction)
    }

    /// Changes one end of the quoted packet. Its address and its header checksum change by opposite amounts, so the checksum of the
    /// ICMP message moves only with the port; the quoted transport checksum is left, since a quote is cut off and nobody verifies it.
    #[inline(always)]
    fn put(&self, ctx: &TcContext, icmp: usize, end: End, to: Target) -> Result<(), i64> {
        const ECHO_IDENTIFIER: usize = 4;
        let l4 = self.at + size_of::<Ipv4>();
        let (address, port, field, place) = match end {
            End::Source => {
                let identifier = if self.protocol == ICMP {
                    ECHO_IDENTIFIER
                } else {
                    0
                };
                let field = offset_of!(Ipv4, source);
                (self.source, self.source_port, field, l4 + identifier)
            }
            End::Destination => {
                let field = offset_of!(Ipv4, destination);
                (self.destination, self.destination_port, field, l4 + 2)
            }
        };
        let new = to.address.to_v4();
        ctx.l3_csum_replace(
            self.at + offset_of!(Ipv4, checksum),
            u64::from(address),
            u64::from(new),
            4,
        )?;
        ctx.store(self.at + field, &new, 0)?;
        ctx.store(place, &to.port, 0)?;
        ctx.l4_csum_replace(icmp + 2, u64::from(port), u64::from(to.port), 2)
    }
}

/// Gives an error about a masqueraded packet to who sent that. `false`: it is about nothing of ours and is the host's.
#[inline(always)]
pub(crate) fn come_back(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    let Some(quoted) = Quoted::read(ctx, packet) else {
        return Ok(false);
    };
    let Some(sender) = cilium_snat.get_ptr(&quoted.answered(REVERSE)) else {
        return Ok(false);
    };
    // SAFETY: a map value of plain numbers.
    turn(ctx, packet, &quoted, End::Source, unsafe { *sender })?;
    Ok(true)
}

/// Gives an error from outside about an answer of a service to the backend that answered. `false`: it is about no connection with a
/// client outside.
#[inline(always)]
pub(crate) fn to_backend(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    // Connections of this node's pods are in the same map, and no router outside has seen anything of them.
    let Some(quoted) =
        Quoted::read(ctx, packet).filter(|quoted| !is_own_pod_range(quoted.destination))
    else {
        return Ok(false);
    };
    let asked = quoted.answered(FORWARD);
    let Some(backend) = cilium_ct_service.get_ptr(&asked) else {
        return Ok(false);
    };
    // SAFETY: as above.
    let backend = unsafe { *backend };
    let sent = Tuple {
        destination: backend.address,
        destination_port: backend.port,
        ..asked
    };
    let is_here =
        backend.address.to_v4() == NODE_IP.load() || cilium_lxc.get_ptr(&backend.address).is_some();
    if !is_here && cilium_snat.get_ptr(&sent).is_none() {
        return Ok(false);
    }
    turn(ctx, packet, &quoted, End::Source, backend)?;
    Ok(true)
}

/// Gives an error about a packet that went to a backend to who sent that: it comes from the service then, as answers do. `false`: it
/// is about no such packet.
#[inline(always)]
pub(crate) fn to_client(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    let Some(quoted) = Quoted::read(ctx, packet).filter(|quoted| has_ports(quoted.protocol)) else {
        return Ok(false);
    };
    let Some(service) = cilium_ct_service.get_ptr(&quoted.answered(REVERSE)) else {
        return Ok(false);
    };
    // SAFETY: as above.
    let service = unsafe { *service };
    if packet.destination == LOOPBACK_IP {
        let client = Target {
            address: Address::v4(packet.source),
            port: quoted.source_port,
            pad: [0; 2],
        };
        turn(ctx, packet, &quoted, End::Source, client)?;
    }
    turn(ctx, packet, &quoted, End::Destination, service)?;
    Ok(true)
}

/// Sends an error about an answer to a masqueraded packet as the node that masqueraded it. `false`: it is about no such answer.
#[inline(always)]
pub(crate) fn leave(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    let Some(quoted) = Quoted::read(ctx, packet).filter(|quoted| has_ports(quoted.protocol)) else {
        return Ok(false);
    };
    let Some(node) = cilium_snat.get_ptr(&quoted.answered(FORWARD)) else {
        return Ok(false);
    };
    // SAFETY: as above.
    turn(ctx, packet, &quoted, End::Destination, unsafe { *node })?;
    Ok(true)
}

/// Gives one end of the quoted packet another address and port, and the error, which goes the other way, that address at its other end.
#[inline(always)]
fn turn(
    ctx: &TcContext,
    packet: &mut Packet,
    quoted: &Quoted,
    end: End,
    to: Target,
) -> Result<(), u8> {
    quoted
        .put(ctx, packet.l4, end, to)
        .map_err(|_| reason::WRITE_ERROR)?;
    // An error has no ports.
    let (other, port) = match end {
        End::Source => (End::Destination, packet.destination_port),
        End::Destination => (End::Source, packet.source_port),
    };
    rewrite(ctx, packet, other, to.address.to_v4(), port)
}
