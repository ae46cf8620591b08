//! NetworkPolicy: every spec of sig-network about it, also the ones Cilium's own CI leaves out.

use super::suite::{LeftOut, Suite};

/// Upstream names the specs of the older file NetworkPolicy, of the newer one Netpol.
pub const SUITE: Suite = Suite {
    name: "netpol",
    focus: "Netpol|NetworkPolicy",
    workers: 2,
    left_out: &[LeftOut::of(
        "[Feature:SCTPConnectivity]",
        "this kernel has no SCTP sockets, so neither side of a connection can be made",
    )],
};
