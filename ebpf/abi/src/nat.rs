//! Translations remembered per flow: masquerading, and services translated packet by packet.

use crate::{address::Address, plain};

/// A flow in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    /// Source of the packet that is looked up.
    pub source: Address,
    /// Its destination.
    pub destination: Address,
    /// Its source port; the identifier of an ICMP echo.
    pub source_port: u16,
    /// Its destination port; 0 for an ICMP echo.
    pub destination_port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// [`FORWARD`] or [`REVERSE`], so that a flow and an answer with the same five values stay apart.
    pub direction: u8,
    /// Zero.
    pub pad: [u8; 2],
}

impl Tuple {
    /// What goes from one IPv4 address and port to another.
    #[inline(always)]
    pub fn between(
        (source, source_port): (u32, u16),
        (destination, destination_port): (u32, u16),
        protocol: u8,
        direction: u8,
    ) -> Self {
        Self {
            source: Address::v4(source),
            destination: Address::v4(destination),
            source_port,
            destination_port,
            protocol,
            direction,
            pad: [0; 2],
        }
    }
}

/// From the client.
pub const FORWARD: u8 = 0;
/// Towards the client.
pub const REVERSE: u8 = 1;

/// An address and port to put into a packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The address.
    pub address: Address,
    /// The port, or the identifier of an ICMP echo.
    pub port: u16,
    /// Zero.
    pub pad: [u8; 2],
}

/// Key of `cilium_frags`: a datagram in pieces.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Datagram {
    /// Source of the datagram.
    pub source: Address,
    /// Its destination.
    pub destination: Address,
    /// IP identification.
    pub id: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Zero.
    pub pad: u8,
}

/// Value of `cilium_frags`: what only the first piece says.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Source port; the identifier of an ICMP echo request.
    pub source_port: u16,
    /// Destination port; the identifier of an ICMP echo reply.
    pub destination_port: u16,
    /// ICMP type.
    pub icmp_type: u8,
    /// Zero.
    pub pad: [u8; 3],
}

plain!(Tuple = 40, Target = 20, Datagram = 36, Ports = 8);

/// Entries of `cilium_snat` (two per masqueraded flow) and of `cilium_ct_service`.
pub const MAX_FLOWS: usize = 64 * 1024;
/// Entries of `cilium_frags`.
pub const MAX_DATAGRAMS: usize = 8192;

/// First port used to masquerade, host byte order. The range lies below Linux's default ephemeral ports (32768) and
/// Kubernetes' node ports (30000), so a flow of a pod never takes the port of a connection of the host.
pub const FIRST_PORT: u16 = 10_240;
/// Last port used to masquerade, host byte order.
pub const LAST_PORT: u16 = 29_999;
