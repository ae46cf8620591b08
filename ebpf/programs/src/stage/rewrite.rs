//! Changing an address and port, with every checksum that covers them.

use core::mem::offset_of;

use aya_ebpf::bindings::{BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR};
use aya_ebpf::programs::TcContext;
use datapath_abi::reason;

use super::packet::{ETHERNET, ICMP, Ipv4, Packet, Part, TCP, UDP};

/// Which end of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

/// Puts an address and port into one end, in the frame and in `packet`. A later fragment has no port to change.
#[inline(always)]
pub(crate) fn rewrite(
    ctx: &TcContext,
    packet: &mut Packet,
    end: End,
    address: u32,
    port: u16,
) -> Result<(), u8> {
    let (old_address, old_port) = match end {
        End::Source => (packet.source, packet.source_port),
        End::Destination => (packet.destination, packet.destination_port),
    };
    if packet.part != Part::Later {
        l4(ctx, packet, end, (old_address, old_port), (address, port))
            .map_err(|_| reason::WRITE_ERROR)?;
    }
    l3(ctx, end, old_address, address).map_err(|_| reason::WRITE_ERROR)?;
    match end {
        End::Source => (packet.source, packet.source_port) = (address, port),
        End::Destination => (packet.destination, packet.destination_port) = (address, port),
    }
    Ok(())
}

#[inline(always)]
fn l3(ctx: &TcContext, end: End, old: u32, new: u32) -> Result<(), i64> {
    let field = match end {
        End::Source => offset_of!(Ipv4, source),
        End::Destination => offset_of!(Ipv4, destination),
    };
    ctx.l3_csum_replace(
        ETHERNET + offset_of!(Ipv4, checksum),
        u64::from(old),
        u64::from(new),
        4,
    )?;
    ctx.store(ETHERNET + field, &new, 0)
}

#[inline(always)]
fn l4(
    ctx: &TcContext,
    packet: &Packet,
    end: End,
    old: (u32, u16),
    new: (u32, u16),
) -> Result<(), i64> {
    let port = packet.l4 + if end == End::Source { 0 } else { 2 };
    // A UDP checksum of 0 means "none" and stays so.
    let (checksum, port, pseudo_header, keep_zero) = match packet.protocol {
        TCP => (packet.l4 + 16, port, true, 0),
        UDP => (packet.l4 + 6, port, true, u64::from(BPF_F_MARK_MANGLED_0)),
        ICMP => (packet.l4 + 2, packet.l4 + 4, false, 0),
        _ => return Ok(()),
    };
    if pseudo_header {
        let flags = u64::from(BPF_F_PSEUDO_HDR) | keep_zero | 4;
        ctx.l4_csum_replace(checksum, u64::from(old.0), u64::from(new.0), flags)?;
    }
    if old.1 != new.1 {
        ctx.l4_csum_replace(checksum, u64::from(old.1), u64::from(new.1), keep_zero | 2)?;
        ctx.store(port, &new.1, 0)?;
    }
    Ok(())
}
