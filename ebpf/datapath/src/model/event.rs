use std::time::Duration;

use crate::{Direction, Error};

/// What the programs tell of one packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, by the monotonic clock (`CLOCK_MONOTONIC`).
    pub time: Duration,
    /// As seen by the endpoint, or by the program if there is none.
    pub direction: Direction,
    /// The pod that is told of: of a verdict the one that was judged, of a drop by policy too; 0: none.
    pub endpoint: u16,
    /// Security identity of the packet's source; 0: not known yet when the packet was dropped.
    pub source_identity: u32,
    /// Security identity of its destination; 0: not known yet when the packet was dropped.
    pub destination_identity: u32,
    /// Cookie of the policy entry that decided; 0: none.
    pub cookie: u32,
    /// What part of a policy's key matched: Cilium's numbers, 0 to 6.
    pub match_type: u8,
    /// The packet answers one of the other direction.
    pub is_reply: bool,
    /// The packet begins a connection.
    pub is_new: bool,
    /// Interface the program runs on.
    pub ifindex: u32,
    /// Length of the packet with the Ethernet header.
    pub length: u32,
    /// Its first bytes, up to 128, from the Ethernet header on.
    pub packet: Vec<u8>,
}

/// Kind of an event; numbers are Cilium's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// 1: dropped, with the reason.
    Drop {
        /// As in [`crate::Counter::reason`].
        reason: u8,
    },
    /// 4: let through. Told of a new connection, and later of new TCP flags or every five seconds per direction.
    Trace {
        /// Where to: 0 a pod, 2 the host, 3 the stack, 4 the tunnel.
        point: u8,
    },
    /// 5: a pod's policy has judged a new connection, or refused a known one.
    PolicyVerdict {
        /// `None`: allowed; else as in [`crate::Counter::reason`].
        denied: Option<u8>,
    },
}

/// Where events are read. There is one at a time; while there is none, the programs make no events.
pub trait EventSource: Send {
    /// Waits until there are events, at most that long; empty: there were none.
    fn next(&mut self, wait: Duration) -> Result<Vec<Event>, Error>;
}
