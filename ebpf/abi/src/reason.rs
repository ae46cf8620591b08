//! Why a packet ended: Cilium's numbers (`pkg/monitor/api/drop.go` of Cilium 1.20), only those the programs use.

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        $($(#[$doc])* pub const $name: u8 = $number;)*

        /// Every reason the programs can give, forwarding included.
        pub const ALL: &[u8] = &[$($name),*];

        /// Cilium's words for a number; `"unknown"` for a number the programs never give.
        pub const fn name(reason: u8) -> &'static str {
            match reason {
                $($name => $text,)*
                _ => "unknown",
            }
        }
    };
}

reasons! {
    /// Not a drop.
    FORWARDED = 0, "forwarded";
    /// The Ethernet source is not the pod's.
    INVALID_SOURCE_MAC = 130, "Invalid source mac";
    /// The address is not one this sender may use.
    INVALID_SOURCE_IP = 132, "Invalid source ip";
    /// No rule of the policy allows it.
    POLICY_DENIED = 133, "Policy denied";
    /// A header contradicts itself or the packet's length.
    INVALID_PACKET = 134, "Invalid packet";
    /// The transport header is cut off.
    TRUNCATED_L4 = 135, "CT: Truncated or invalid header";
    /// Too long for the tunnel, and not to be cut.
    FRAGMENTATION_NEEDED = 136, "Fragmentation needed";
    /// Neither IPv4 nor ARP.
    UNSUPPORTED_L3 = 139, "Unsupported L3 protocol";
    /// A helper could not change the packet.
    WRITE_ERROR = 141, "Error writing to packet";
    /// A tunnel packet came without its metadata.
    NO_TUNNEL_KEY = 147, "Error retrieving tunnel key";
    /// An address in the pods' range that nobody holds.
    UNKNOWN_TARGET = 150, "Unknown L3 target address";
    /// The translation table refused a new entry.
    CT_INSERT_FAILED = 155, "CT: Map insertion failed";
    /// Fragments of a pod towards a service are not put together; and a fragment of SCTP has no checksum that could follow its port.
    FRAGMENT = 157, "IP fragmentation not supported";
    /// The service has nobody to answer, or no such port.
    NO_BACKEND = 158, "Service backend not found";
    /// The packet belongs to a device that has no endpoint.
    UNKNOWN_ENDPOINT = 165, "No configuration available to perform policy decision";
    /// ARP that a pod has no reason to send.
    UNSUPPORTED_L2 = 166, "Unsupported L2 protocol";
    /// No free port was found to masquerade with.
    NO_NAT_PORT = 167, "No mapping for NAT masquerade";
    /// Only TCP, UDP, SCTP, ICMP echo and errors about packets that came back can be masqueraded.
    NAT_PROTOCOL = 168, "Unsupported protocol for NAT masquerade";
    /// No route leads to the client of a service.
    NO_ROUTE = 169, "FIB lookup failed";
    /// A pod sent to the tunnel port.
    ENCAPSULATION_PROHIBITED = 170, "Encapsulation traffic is prohibited";
    /// A tunnel packet from an address that is no node.
    UNKNOWN_SENDER = 172, "Unknown sender";
    /// A later fragment whose first one was not seen.
    FRAGMENT_NOT_FOUND = 175, "First logical datagram fragment not found";
    /// The service is not open to this source.
    SOURCE_RANGE = 177, "Denied by LB src range check";
    /// A rule of the policy forbids it.
    POLICY_DENY = 181, "Policy denied by denylist";
    /// A tagged frame; pods have no VLANs.
    VLAN = 182, "VLAN traffic disallowed by VLAN filter";
    /// The packet has made its last hop.
    TTL_EXCEEDED = 196, "TTL exceeded";
    /// The pod has no policy to be judged by.
    NO_POLICY = 203, "Endpoint policy program not available";
}
