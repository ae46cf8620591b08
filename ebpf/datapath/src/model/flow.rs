use std::net::Ipv4Addr;
use std::time::Duration;

const TCP: u8 = 6;

/// Connections a node can know; beyond, the kernel forgets one that was used longest ago, whoever's it is.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Connections that stay.
    pub alive: PerProtocol,
    /// Connections that had ended and are removed.
    pub deleted: PerProtocol,
    /// Masquerading entries whose connection is gone, removed.
    pub translations: u64,
    /// Backends chosen for a service's flow whose connection is gone, removed. They are found one time and removed the next.
    pub choices: u64,
    /// Whose entries were removed before their time so that others keep theirs; who lost most comes first.
    pub gave_way: Vec<GaveWay>,
}

/// What one lost who held more of a crowded table than others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GaveWay {
    /// Who began the connections; of those that came from outside, where anybody may have sent them under any address, who was asked.
    pub holder: Ipv4Addr,
    /// Connections that were forgotten.
    pub connections: u64,
    /// Masquerading entries that were forgotten though their connection is known.
    pub translations: u64,
}

impl PerProtocol {
    /// Counts one connection of a protocol.
    pub(crate) fn count(&mut self, protocol: u8) {
        if protocol == TCP {
            self.tcp += 1;
        } else {
            self.other += 1;
        }
    }

    /// Takes one back.
    pub(crate) fn discount(&mut self, protocol: u8) {
        let number = if protocol == TCP {
            &mut self.tcp
        } else {
            &mut self.other
        };
        *number = number.saturating_sub(1);
    }

    /// Both together.
    pub fn all(&self) -> u64 {
        self.tcp + self.other
    }
}
