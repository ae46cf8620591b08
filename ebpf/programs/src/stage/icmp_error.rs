//! ICMP errors about masqueraded packets ("fragmentation needed" above all) go to the pod that sent them.

use core::mem::offset_of;

use aya_ebpf::programs::TcContext;
use datapath_abi::address::Address;
use datapath_abi::nat::{REVERSE, Target, Tuple};
use datapath_abi::reason;

use super::packet::{
    ICMP, ICMP_ECHO, ICMP_PARAMETER, ICMP_TIME_EXCEEDED, ICMP_UNREACHABLE, Ipv4, Packet, SCTP, TCP,
    UDP,
};
use super::rewrite::{End, rewrite};
use crate::config::NODE_IP;
use crate::maps::cilium_snat;

const ICMP_HEADER: usize = 8;

/// Translates the error and the packet quoted in it. `false`: it is about nothing of ours and is the host's.
#[inline(always)]
pub(crate) fn come_back(ctx: &TcContext, packet: &mut Packet) -> Result<bool, u8> {
    if !matches!(
        packet.icmp_type,
        ICMP_UNREACHABLE | ICMP_TIME_EXCEEDED | ICMP_PARAMETER
    ) {
        return Ok(false);
    }
    let quoted = packet.l4 + ICMP_HEADER;
    let Ok(header) = ctx.load::<Ipv4>(quoted) else {
        return Ok(false);
    };
    // Options in the quoted header would move its ports; our own packets rarely have any.
    if header.version_length != 0x45 || header.source != NODE_IP.load() {
        return Ok(false);
    }
    let l4 = quoted + size_of::<Ipv4>();
    let Ok(ports) = ctx.load::<[u16; 4]>(l4) else {
        return Ok(false);
    };
    let (port, remote_port, port_offset) = match header.protocol {
        TCP | UDP | SCTP => (ports[0], ports[1], l4),
        ICMP if ports[0].to_ne_bytes()[0] == ICMP_ECHO => (ports[2], 0, l4 + 4),
        _ => return Ok(false),
    };
    let Some(target) = cilium_snat.get_ptr(&answer(&header, port, remote_port)) else {
        return Ok(false);
    };
    // SAFETY: a map value of plain numbers.
    let Target {
        address,
        port: pod_port,
        ..
    } = unsafe { *target };
    requote(
        ctx,
        packet.l4,
        quoted,
        port_offset,
        (header.source, address.to_v4()),
        (port, pod_port),
    )
    .map_err(|_| reason::WRITE_ERROR)?;
    let code_port = packet.destination_port;
    rewrite(ctx, packet, End::Destination, address.to_v4(), code_port)?;
    Ok(true)
}

#[inline(always)]
fn answer(quoted: &Ipv4, port: u16, remote_port: u16) -> Tuple {
    Tuple {
        source: Address::v4(quoted.destination),
        destination: Address::v4(quoted.source),
        source_port: remote_port,
        destination_port: port,
        protocol: quoted.protocol,
        direction: REVERSE,
        pad: [0; 2],
    }
}

/// Changes the quoted packet back. Its address and its header checksum change by opposite amounts, so the checksum of the ICMP
/// message moves only with the port; the quoted transport checksum is left, since a quote is cut off and nobody verifies it.
#[inline(always)]
fn requote(
    ctx: &TcContext,
    icmp: usize,
    quoted: usize,
    port_offset: usize,
    address: (u32, u32),
    port: (u16, u16),
) -> Result<(), i64> {
    ctx.l3_csum_replace(
        quoted + offset_of!(Ipv4, checksum),
        u64::from(address.0),
        u64::from(address.1),
        4,
    )?;
    ctx.store(quoted + offset_of!(Ipv4, source), &address.1, 0)?;
    ctx.store(port_offset, &port.1, 0)?;
    ctx.l4_csum_replace(icmp + 2, u64::from(port.0), u64::from(port.1), 2)
}
