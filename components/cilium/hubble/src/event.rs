//! What the datapath's reader hands in.

/// How much of a packet an event carries at most.
pub const PACKET_BYTES: usize = 128;

/// One event of the datapath about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketEvent {
    /// Nanoseconds since 1970. Events are handed in oldest first; `--since` relies on it.
    pub time: i64,
    pub kind: Kind,
    /// Which of the endpoint's policies was asked. Only a verdict needs it: the direction of the other kinds follows from
    /// the endpoint and [`PacketEvent::is_reply`].
    pub direction: Direction,
    /// The local endpoint the program ran for; 0 when it ran for none.
    pub endpoint_id: u16,
    /// What the datapath took the source for; 0 when it did not look.
    pub source_identity: u32,
    /// What the datapath took the destination for; 0 when it did not look.
    pub destination_identity: u32,
    /// Which policies decided, in the numbers of [`crate::names::Names::policies`]; 0 for none.
    pub cookie: u32,
    /// Whether connection tracking says that the packet answers another; `None` when it was not asked.
    pub is_reply: Option<bool>,
    /// The link the packet was seen on; 0 when it is not known.
    pub ifindex: u32,
    /// The length of the whole packet, which may be longer than what is kept here.
    pub length: u32,
    pub packet: Packet,
}

/// What happened to the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Dropped, for a reason in Cilium's numbers.
    Drop { reason: u8 },
    /// Passed an observation point, in Cilium's numbers.
    Trace { point: u8 },
    /// Policy spoke: 0 allows, a positive verdict redirects to that proxy port, a negative one is the drop reason negated.
    PolicyVerdict { verdict: i32, match_type: u8 },
}

/// Cilium's word for an observation point.
pub fn point_name(point: u8) -> Option<&'static str> {
    const POINTS: [&str; 14] = [
        "to-endpoint",
        "to-proxy",
        "to-host",
        "to-stack",
        "to-overlay",
        "from-endpoint",
        "from-proxy",
        "from-host",
        "from-stack",
        "from-overlay",
        "from-network",
        "to-network",
        "from-crypto",
        "to-crypto",
    ];
    POINTS.get(usize::from(point)).copied()
}

/// Which side of a local endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ingress,
    Egress,
}

/// The first bytes of a packet, from the Ethernet header on, held in place so that an event needs no allocation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Packet {
    bytes: [u8; PACKET_BYTES],
    length: u8,
}

impl Packet {
    /// Keeps the first [`PACKET_BYTES`] of `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let kept = bytes.len().min(PACKET_BYTES);
        let mut packet = Self {
            bytes: [0; PACKET_BYTES],
            length: u8::try_from(kept).unwrap_or(u8::MAX),
        };
        packet.bytes[..kept].copy_from_slice(&bytes[..kept]);
        packet
    }

    /// What was kept.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packet({} bytes)", self.length)
    }
}

/// Events that were lost before they reached the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Nanoseconds since 1970 when the loss was noticed.
    pub time: i64,
    pub count: u64,
    /// The CPU whose buffer was full, when there is one per CPU.
    pub cpu: Option<i32>,
    pub place: LostAt,
}

/// Where events were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LostAt {
    /// Between the kernel and the reader.
    KernelBuffer,
    /// Between the reader and the ring.
    Queue,
}
