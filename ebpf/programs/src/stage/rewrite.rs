//! Changing an address and port, with every checksum that covers them.

use core::mem::offset_of;

use aya_ebpf::bindings::{BPF_F_MARK_MANGLED_0, BPF_F_PSEUDO_HDR, BPF_F_RECOMPUTE_CSUM};
use aya_ebpf::programs::TcContext;
use datapath_abi::{reason, sctp};

use super::packet::{ETHERNET, ICMP, Ipv4, Packet, Part, SCTP, TCP, UDP};

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
    if packet.protocol == SCTP {
        if old_port != port {
            sctp_port(ctx, packet, end, old_port, port)?;
        }
    } else if packet.part != Part::Later {
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

/// SCTP's checksum covers no address, but all of the packet, of which a fragment knows only itself.
#[inline(always)]
fn sctp_port(ctx: &TcContext, packet: &Packet, end: End, old: u16, new: u16) -> Result<(), u8> {
    match packet.part {
        Part::Whole => {}
        Part::First => return Err(reason::FRAGMENT),
        Part::Later => return Ok(()),
    }
    let port = if end == End::Source { 0 } else { 2 };
    let moved = sctp_checksum_change(u32::from(old ^ new), u32::from(packet.length) - port);
    let stored = move_sctp_checksum(ctx, packet.l4 + 8, moved)
        .and_then(|()| ctx.store(packet.l4 + port as usize, &new, RECOMPUTE));
    stored.map_err(|_| reason::WRITE_ERROR)
}

/// For a device that has summed up the frame.
const RECOMPUTE: u64 = BPF_F_RECOMPUTE_CSUM as u64;

/// A checksum of 0 stays: there is none (RFC 9653), or the kernel or a device is still to count it, with 0 in its place. That a
/// packet's real one is 0 comes to pass once in 2^32, and costs the sender a packet.
#[inline(always)]
fn move_sctp_checksum(ctx: &TcContext, at: usize, moved: u32) -> Result<(), i64> {
    let checksum = u32::from_le(ctx.load(at)?);
    if checksum == 0 {
        return Ok(());
    }
    ctx.store(at, &(checksum ^ moved).to_le(), RECOMPUTE)
}

/// Global like `judge_packet`, for the verifier to go through its steps once.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn sctp_checksum_change(difference: u32, bytes: u32) -> u32 {
    sctp::port_change(difference as u16, bytes as u16)
}
