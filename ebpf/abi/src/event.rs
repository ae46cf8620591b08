//! What the programs tell of packets: the records of `cilium_events`.

use crate::plain;

/// Bytes of a packet that go with an event.
pub const CAPTURE: usize = 128;

/// One record. Cilium's numbers, our layout.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds of the monotonic clock.
    pub time: u64,
    /// Identity of the packet's source.
    pub source: u32,
    /// Identity of its destination.
    pub destination: u32,
    /// Cookie of the policy entry that decided; 0: none did.
    pub cookie: u32,
    /// Interface the program runs on.
    pub ifindex: u32,
    /// Length of the packet with the Ethernet header.
    pub length: u32,
    /// Number of the endpoint that is told of; 0: none.
    pub endpoint: u16,
    /// Bytes of `packet` that are the packet's.
    pub captured: u16,
    /// [`DROP`], [`TRACE`] or [`VERDICT`].
    pub kind: u8,
    /// Of a drop and a verdict the reason, 0: allowed; of a trace the observation point.
    pub code: u8,
    /// [`crate::metric::INGRESS`] or [`crate::metric::EGRESS`]: of the endpoint, or of the program without one.
    pub direction: u8,
    /// What part of the policy's key matched.
    pub match_type: u8,
    /// [`IS_REPLY`], [`NEW`].
    pub bits: u8,
    /// Zero.
    pub pad: [u8; 3],
    /// The packet from its Ethernet header on.
    pub packet: [u8; CAPTURE],
}

plain!(Event = 168);

/// A packet was dropped.
pub const DROP: u8 = 1;
/// A packet was let through.
pub const TRACE: u8 = 4;
/// A policy has decided.
pub const VERDICT: u8 = 5;

/// The packet answers one of the other direction.
pub const IS_REPLY: u8 = 1;
/// The packet begins a connection.
pub const NEW: u8 = 2;

/// Observation points: where the packet goes.
pub mod point {
    /// To a pod of this node.
    pub const TO_ENDPOINT: u8 = 0;
    /// To a host of this node.
    pub const TO_HOST: u8 = 2;
    /// To the stack, which sends it on.
    pub const TO_STACK: u8 = 3;
    /// Through the tunnel.
    pub const TO_OVERLAY: u8 = 4;
    /// Out by a device to the outside.
    pub const TO_NETWORK: u8 = 11;
}

/// Bytes of the ring.
pub const RING: usize = 1 << 20;
/// Bytes in the ring that wake its reader; less waits for the reader to look by itself.
pub const WAKE: u64 = (RING / 8) as u64;

/// The value of `cilium_runtime_config`: what user space may change while the programs run.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Runtime {
    /// Number of the node's policies as a whole; a connection allowed under another one is judged anew.
    pub epoch: u32,
    /// 1 while somebody reads the events.
    pub events: u32,
}

plain!(Runtime = 8);
