//! Reading a packet's headers, and refusing those that contradict themselves.

use core::sync::atomic::{Ordering, compiler_fence};

use aya_ebpf::programs::TcContext;
use datapath_abi::nat::{REVERSE, Tuple};
use datapath_abi::reason;

use crate::maps::cilium_packet;

/// Length of the Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// EtherType of IPv4, network byte order.
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800_u16.to_be();
/// EtherType of ARP, network byte order.
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806_u16.to_be();
/// Address family of IPv4 (linux/socket.h).
pub(crate) const AF_INET: u8 = 2;
/// IP protocol numbers.
pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SCTP: u8 = 132;

/// An Ethernet header.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Ethernet {
    pub(crate) destination: [u8; 6],
    pub(crate) source: [u8; 6],
    pub(crate) ethertype: u16,
}

/// An IPv4 header without options (RFC 791 3.1).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Ipv4 {
    pub(crate) version_length: u8,
    pub(crate) tos: u8,
    pub(crate) total_length: u16,
    pub(crate) id: u16,
    pub(crate) fragment: u16,
    pub(crate) ttl: u8,
    pub(crate) protocol: u8,
    pub(crate) checksum: u16,
    pub(crate) source: u32,
    pub(crate) destination: u32,
}

/// Which part of a datagram a packet is.
#[repr(u8)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// The first of several: it has the ports.
    First,
    /// A later one: it has none.
    Later,
}

/// What the programs decide by. Addresses and ports in network byte order.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Packet {
    pub(crate) source: u32,
    pub(crate) destination: u32,
    /// For ICMP echo: the identifier in a request, 0 in an answer.
    pub(crate) source_port: u16,
    /// For ICMP echo: the identifier in an answer, 0 in a request.
    pub(crate) destination_port: u16,
    pub(crate) protocol: u8,
    pub(crate) part: Part,
    /// IP identification.
    pub(crate) id: u16,
    /// Offset of the transport header from the start of the frame.
    pub(crate) l4: usize,
    /// Bytes from there to the packet's end, which need not be the frame's.
    pub(crate) length: u16,
    /// TCP flags; 0 for anything else.
    pub(crate) flags: u8,
    /// ICMP type; 255 for anything else.
    pub(crate) icmp_type: u8,
    /// Type of the first chunk of SCTP; 255 for anything else.
    pub(crate) chunk: u8,
    /// 1: who asks a service that has nobody to answer is told nothing.
    pub(crate) quiet: u8,
}

/// TCP flags.
pub(crate) const FIN: u8 = 0x01;
pub(crate) const SYN: u8 = 0x02;
pub(crate) const RST: u8 = 0x04;
pub(crate) const ACK: u8 = 0x10;

/// Whether a protocol's packets name a port at each end: services and masquerading are for these.
#[inline(always)]
pub(crate) fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP)
}

/// An ICMP message about another packet, which it quotes.
#[inline(always)]
pub(crate) fn is_error(protocol: u8, icmp_type: u8) -> bool {
    protocol == ICMP
        && matches!(
            icmp_type,
            ICMP_UNREACHABLE | ICMP_TIME_EXCEEDED | ICMP_PARAMETER
        )
}

impl Packet {
    /// First packet of a connection from the client: a SYN, or an INIT, which comes with no other chunk (RFC 9260 6.10).
    #[inline(always)]
    pub(crate) fn opens(&self) -> bool {
        self.flags & (SYN | ACK) == SYN || self.chunk == INIT
    }

    /// The packet's flow as a key.
    #[inline(always)]
    pub(crate) fn tuple(&self, direction: u8) -> Tuple {
        let source = (self.source, self.source_port);
        let destination = (self.destination, self.destination_port);
        Tuple::between(source, destination, self.protocol, direction)
    }

    /// The key of a packet that answers this one.
    #[inline(always)]
    pub(crate) fn answer(&self) -> Tuple {
        let source = (self.destination, self.destination_port);
        let destination = (self.source, self.source_port);
        Tuple::between(source, destination, self.protocol, REVERSE)
    }
}

pub(crate) const ICMP_ECHO_REPLY: u8 = 0;
pub(crate) const ICMP_UNREACHABLE: u8 = 3;
pub(crate) const ICMP_ECHO: u8 = 8;
pub(crate) const ICMP_TIME_EXCEEDED: u8 = 11;
pub(crate) const ICMP_PARAMETER: u8 = 12;
const NOT_ICMP: u8 = 255;

/// Types of SCTP chunks.
const INIT: u8 = 1;
const NO_CHUNK: u8 = 255;

pub(crate) const MORE_FRAGMENTS: u16 = 0x2000;
pub(crate) const FRAGMENT_OFFSET: u16 = 0x1fff;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const ICMP_HEADER: usize = 8;
const SCTP_HEADER: usize = 12;

/// A header in the packet, if all of it is there.
#[inline(always)]
pub(crate) fn at<T>(ctx: &TcContext, offset: usize) -> Option<*mut T> {
    let start = ctx.data();
    if start + offset + size_of::<T>() > ctx.data_end() {
        return None;
    }
    Some((start + offset) as *mut T)
}

/// Makes the headers readable in place: a packet's first bytes may lie scattered.
#[inline(always)]
pub(crate) fn gather(ctx: &TcContext, bytes: u32) {
    let length = ctx.len();
    // A failure shows as a header that is not all there.
    let _ = ctx.pull_data(if length < bytes { length } else { bytes });
}

/// The Ethernet header.
#[inline(always)]
pub(crate) fn ethernet(ctx: &TcContext) -> Result<*mut Ethernet, u8> {
    at::<[u8; ETHERNET + 40]>(ctx, 0).map_or_else(
        || {
            gather(ctx, (ETHERNET + 60 + TCP_HEADER) as u32);
            at::<Ethernet>(ctx, 0).ok_or(reason::INVALID_PACKET)
        },
        |start| Ok(start.cast()),
    )
}

/// Reads and checks the IPv4 and transport headers; [`ethernet`] has been called.
///
/// The answer lies in the processor's own memory, of which the verifier knows nothing: on the stack it would follow each kind of
/// packet to the end by itself.
#[inline(always)]
pub(crate) fn parse(ctx: &TcContext) -> Result<&'static mut Packet, u8> {
    let place = cilium_packet.get_ptr_mut(0).ok_or(reason::INVALID_PACKET)?;
    let packet = read(ctx)?;
    // SAFETY: this processor's, and the programs are not interrupted by each other; every field is written before it is read.
    unsafe {
        place.write(packet);
        // Without it the compiler would carry the values past the memory.
        compiler_fence(Ordering::SeqCst);
        Ok(&mut *place)
    }
}

#[inline(always)]
fn read(ctx: &TcContext) -> Result<Packet, u8> {
    let header = at::<Ipv4>(ctx, ETHERNET).ok_or(reason::INVALID_PACKET)?;
    // SAFETY: `at` has checked the bounds.
    let header = unsafe { *header };
    let words = (header.version_length & 0xf) as usize;
    let total = u16::from_be(header.total_length) as usize;
    if header.version_length >> 4 != 4
        || words < 5
        || total < words * 4
        || total + ETHERNET > ctx.len() as usize
    {
        return Err(reason::INVALID_PACKET);
    }
    let fragment = u16::from_be(header.fragment);
    let part = if fragment & FRAGMENT_OFFSET != 0 {
        Part::Later
    } else if fragment & MORE_FRAGMENTS != 0 {
        Part::First
    } else {
        Part::Whole
    };
    let mut packet = Packet {
        source: header.source,
        destination: header.destination,
        source_port: 0,
        destination_port: 0,
        protocol: header.protocol,
        part,
        id: header.id,
        l4: ETHERNET + words * 4,
        length: (total - words * 4) as u16,
        flags: 0,
        icmp_type: NOT_ICMP,
        chunk: NO_CHUNK,
        quiet: 0,
    };
    if part != Part::Later {
        transport(ctx, &mut packet, total - words * 4)?;
    } else if usize::from(fragment & FRAGMENT_OFFSET) * 8 < transport_header(header.protocol) {
        // It would replace what the first fragment was judged by (RFC 1858).
        return Err(reason::INVALID_PACKET);
    }
    Ok(packet)
}

#[inline(always)]
fn transport(ctx: &TcContext, packet: &mut Packet, payload: usize) -> Result<(), u8> {
    match packet.protocol {
        TCP => tcp(ctx, packet, payload),
        UDP => udp(ctx, packet, payload),
        ICMP => icmp(ctx, packet, payload),
        SCTP => sctp(ctx, packet, payload),
        _ => Ok(()),
    }
}

/// Bytes of the transport header that no later fragment may cover.
#[inline(always)]
fn transport_header(protocol: u8) -> usize {
    match protocol {
        TCP => TCP_HEADER,
        SCTP => SCTP_HEADER,
        _ => 0,
    }
}

/// A transport header after IP options may lie beyond what was gathered at first.
#[inline(always)]
fn header<T>(ctx: &TcContext, packet: &Packet, payload: usize) -> Result<*mut T, u8> {
    if payload < size_of::<T>() {
        return Err(match packet.part {
            Part::First => reason::INVALID_PACKET,
            _ => reason::TRUNCATED_L4,
        });
    }
    if let Some(header) = at::<T>(ctx, packet.l4) {
        return Ok(header);
    }
    gather(ctx, (ETHERNET + 60 + TCP_HEADER) as u32);
    at::<T>(ctx, packet.l4).ok_or(reason::TRUNCATED_L4)
}

#[inline(always)]
fn tcp(ctx: &TcContext, packet: &mut Packet, payload: usize) -> Result<(), u8> {
    let header = header::<[u16; TCP_HEADER / 2]>(ctx, packet, payload)?;
    // SAFETY: `header` has checked the bounds.
    let [source, destination, _, _, _, _, offset_flags, ..] = unsafe { *header };
    let [offset, flags] = offset_flags.to_ne_bytes();
    let length = (offset >> 4) as usize * 4;
    if length < TCP_HEADER || (packet.part == Part::Whole && length > payload) {
        return Err(reason::TRUNCATED_L4);
    }
    packet.source_port = source;
    packet.destination_port = destination;
    packet.flags = flags;
    Ok(())
}

#[inline(always)]
fn udp(ctx: &TcContext, packet: &mut Packet, payload: usize) -> Result<(), u8> {
    let header = header::<[u16; UDP_HEADER / 2]>(ctx, packet, payload)?;
    // SAFETY: `header` has checked the bounds.
    let [source, destination, length, _] = unsafe { *header };
    let length = u16::from_be(length) as usize;
    if length < UDP_HEADER || (packet.part == Part::Whole && length > payload) {
        return Err(reason::TRUNCATED_L4);
    }
    packet.source_port = source;
    packet.destination_port = destination;
    Ok(())
}

#[inline(always)]
fn icmp(ctx: &TcContext, packet: &mut Packet, payload: usize) -> Result<(), u8> {
    let header = header::<[u16; ICMP_HEADER / 2]>(ctx, packet, payload)?;
    // SAFETY: `header` has checked the bounds.
    let [type_code, _, id, _] = unsafe { *header };
    let [icmp_type, _] = type_code.to_ne_bytes();
    packet.icmp_type = icmp_type;
    match icmp_type {
        ICMP_ECHO => packet.source_port = id,
        ICMP_ECHO_REPLY => packet.destination_port = id,
        _ => {}
    }
    Ok(())
}

#[inline(always)]
fn sctp(ctx: &TcContext, packet: &mut Packet, payload: usize) -> Result<(), u8> {
    let header = header::<[u16; SCTP_HEADER / 2]>(ctx, packet, payload)?;
    // SAFETY: `header` has checked the bounds.
    let [source, destination, ..] = unsafe { *header };
    packet.source_port = source;
    packet.destination_port = destination;
    // A first fragment has it, too: the next one could begin no earlier than behind it.
    if payload > SCTP_HEADER {
        packet.chunk = ctx
            .load(packet.l4 + SCTP_HEADER)
            .map_err(|_| reason::TRUNCATED_L4)?;
    }
    Ok(())
}

/// Whether two Ethernet addresses are the same.
#[inline(always)]
pub(crate) fn same_mac(a: [u8; 6], b: [u8; 6]) -> bool {
    let word = |m: [u8; 6]| u64::from_le_bytes([m[0], m[1], m[2], m[3], m[4], m[5], 0, 0]);
    word(a) == word(b)
}
