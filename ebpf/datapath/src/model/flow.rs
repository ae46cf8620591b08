use std::net::Ipv4Addr;
use std::time::Duration;

/// Connections a node can know; beyond, the one that was used longest ago is forgotten.
pub const MAX_FLOWS: usize = datapath_abi::flow::MAX_FLOWS;

/// A connection the node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// IP protocol.
    pub protocol: u8,
    /// Who began it.
    pub originator: FlowEnd,
    /// Who is spoken to.
    pub responder: FlowEnd,
    /// Type of an ICMP message that is neither echo request nor reply.
    pub icmp_type: Option<u8>,
    /// How long it will live without another packet; zero: it has ended and waits for [`crate::Datapath::collect_flows`].
    pub expires_in: Duration,
    /// The node's policies allowed it at this epoch.
    pub epoch: u32,
    /// The responder has answered.
    pub seen_reply: bool,
    /// Both sides have closed it, or one has reset it.
    pub closing: bool,
}

/// One end of a connection, and what came from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowEnd {
    /// Address.
    pub ip: Ipv4Addr,
    /// Port, host byte order; at the end that asked for an ICMP echo its identifier.
    pub port: u16,
    /// Security identity when the connection was last judged.
    pub identity: u32,
    /// Packets it sent; a GSO packet counts once.
    pub packets: u64,
    /// Bytes it sent, with the Ethernet header.
    pub bytes: u64,
    /// TCP flags it sent.
    pub tcp_flags: u8,
}

/// Numbers per protocol, as Cilium's metrics have them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerProtocol {
    /// TCP.
    pub tcp: u64,
    /// Everything else.
    pub other: u64,
}

/// What [`crate::Datapath::collect_flows`] has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Connections that stay.
    pub alive: PerProtocol,
    /// Connections that had ended and are removed.
    pub deleted: PerProtocol,
    /// Masquerading entries whose connection is gone, removed.
    pub translations: u64,
}

impl PerProtocol {
    /// Counts one connection of a protocol.
    pub(crate) fn count(&mut self, protocol: u8) {
        const TCP: u8 = 6;
        if protocol == TCP {
            self.tcp += 1;
        } else {
            self.other += 1;
        }
    }
}
