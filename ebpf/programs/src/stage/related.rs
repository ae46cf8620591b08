//! ICMP errors: let through with the connection they are about, if they are about one.

use aya_ebpf::programs::TcContext;
use datapath_abi::flow::Key;

use super::packet::{FRAGMENT_OFFSET, ICMP, ICMP_ECHO, ICMP_ECHO_REPLY, Ipv4, SCTP, TCP, UDP};
use super::scratch::Scratch;

const ICMP_HEADER: usize = 8;

/// What an error quotes.
pub(crate) enum Quote {
    /// A packet of the connection with this key.
    Of(Key),
    /// A packet that the sender of the error could not have seen.
    Forged,
    /// Nothing that can be read.
    Nothing,
}

/// Reads the packet an error is about. It must be one that the receiver of the error has sent; and a pod sees only packets that
/// were sent to itself.
#[inline(always)]
pub(crate) fn quote(ctx: &TcContext, scratch: &Scratch) -> Quote {
    const WITHOUT_OPTIONS: u8 = 0x45;
    if scratch.later != 0 {
        return Quote::Nothing;
    }
    let at = scratch.l4 as usize + ICMP_HEADER;
    let Ok(header) = ctx.load::<Ipv4>(at) else {
        return Quote::Nothing;
    };
    let pod = scratch.party[0].is_pod();
    if header.source != scratch.destination || (pod && header.destination != scratch.source) {
        return if pod { Quote::Forged } else { Quote::Nothing };
    }
    if header.version_length != WITHOUT_OPTIONS
        || u16::from_be(header.fragment) & FRAGMENT_OFFSET != 0
    {
        return Quote::Nothing;
    }
    let Ok(words) = ctx.load::<[u16; 4]>(at + size_of::<Ipv4>()) else {
        return Quote::Nothing;
    };
    let icmp_type = words[0].to_ne_bytes()[0];
    let (source_port, destination_port) = match (header.protocol, icmp_type) {
        (TCP | UDP | SCTP, _) => (words[0], words[1]),
        (ICMP, ICMP_ECHO) => (words[2], 0),
        (ICMP, ICMP_ECHO_REPLY) => (0, words[2]),
        _ => (0, 0),
    };
    let (key, _) = Key::of(
        (header.source, source_port),
        (header.destination, destination_port),
        header.protocol,
        icmp_type,
    );
    Quote::Of(key)
}
