//! Services and what answers for them.

use crate::{address::Address, maglev, plain};

/// Key of `cilium_lb4_services`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frontend {
    /// Virtual address.
    pub address: Address,
    /// Port; 0 together with protocol 0 says only that the address belongs to services.
    pub port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Who asks: [`INSIDE`] or [`OUTSIDE`].
    pub scope: u8,
}

/// Pods and the host itself.
pub const INSIDE: u8 = 0;
/// What comes in by a device to the outside.
pub const OUTSIDE: u8 = 1;

/// Value of `cilium_lb4_services`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Service {
    /// Number of this generation of the service: new backends come under a new number, then this value is swapped.
    pub generation: u32,
    /// Backends, in slots 0 to `count - 1`.
    pub count: u32,
    /// Seconds of client affinity; 0: none.
    pub affinity_seconds: u32,
    /// [`SILENT`], [`RESTRICTED`], [`EXCLUSIVE`].
    pub flags: u32,
    /// Slots of its table in `cilium_lb4_maglev`; 0: it has none, and each connection may meet any backend. Only for [`OUTSIDE`].
    pub slots: u32,
    /// Zero.
    pub pad: u32,
    /// What the table was made with, and slots are chosen by.
    pub key: maglev::Key,
}

/// Without a backend, packets vanish instead of being refused: other nodes have backends.
pub const SILENT: u32 = 1;
/// Only sources in `cilium_lb4_source_range` are served.
pub const RESTRICTED: u32 = 2;
/// The address is nobody's but services': its other ports are no host's.
pub const EXCLUSIVE: u32 = 4;

/// Key material of `cilium_lb4_source_range`: the prefix covers the generation, then bits of the address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRange {
    /// Generation of the service.
    pub generation: u32,
    /// Who may ask it.
    pub address: Address,
}

/// Bits of a [`SourceRange`] before its address.
pub const GENERATION_BITS: u32 = 32;

/// Key of `cilium_lb4_backends`, and of `cilium_lb4_maglev`, where `index` is the number of a chunk.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slot {
    /// Generation of the service.
    pub generation: u32,
    /// From 0, without a gap.
    pub index: u32,
}

/// Value of `cilium_lb4_backends`; also key material elsewhere.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backend {
    /// Address of a pod or host.
    pub address: Address,
    /// Port.
    pub port: u16,
    /// Zero.
    pub pad: [u8; 2],
}

/// Key of `cilium_lb4_members`: does a backend belong to a generation?
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// Generation of the service.
    pub generation: u32,
    /// The backend.
    pub backend: Backend,
}

/// Key of `cilium_lb4_affinity`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Client {
    /// Who asks: the cookie of its network namespace (socket translation) or its address (packet translation).
    pub client: [u64; 2],
    /// The service it asks.
    pub frontend: Frontend,
    /// Zero.
    pub pad: u32,
}

/// Value of `cilium_lb4_affinity`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Nanoseconds of the monotonic clock at the last connection.
    pub last_used: u64,
    /// Where it went.
    pub backend: Backend,
    /// Zero.
    pub pad: u32,
}

/// Key of `cilium_lb4_reverse_sk`: what a socket that was translated sees as its peer.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Cookie of the socket.
    pub cookie: u64,
    /// The backend it was sent to.
    pub backend: Backend,
    /// Zero.
    pub pad: u32,
}

plain!(
    Frontend = 20,
    Service = 40,
    SourceRange = 20,
    Slot = 8,
    Backend = 20,
    Member = 24,
    Client = 40,
    Affinity = 32,
    Peer = 32
);

/// Entries of `cilium_lb4_services`, `cilium_lb4_backends` and `cilium_lb4_members`.
pub const MAX_SERVICES: usize = 64 * 1024;
/// Entries of `cilium_lb4_source_range`.
pub const MAX_SOURCE_RANGES: usize = 16 * 1024;
/// Entries of `cilium_lb4_reverse_sk` and `cilium_lb4_affinity`.
pub const MAX_CLIENTS: usize = 64 * 1024;

/// Source a pod sees when it reaches itself through a service (Cilium's `--ipv4-service-loopback-address`).
pub const LOOPBACK: [u8; 4] = [169, 254, 42, 1];
