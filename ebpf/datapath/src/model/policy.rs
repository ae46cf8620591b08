use crate::Direction;
use datapath_abi::policy;

/// Entries one policy may have.
pub const MAX_POLICY_ENTRIES: usize = policy::MAX_ENTRIES;

/// What an entry of a policy is about. Among the entries of one identity and direction the closest decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyKey {
    /// Security identity of the peer, or a number that stands for many; 0: any.
    pub identity: u32,
    /// As seen by the pod that is judged.
    pub direction: Direction,
    /// IP protocol; 0: any, and then `port_bits` is 0.
    pub protocol: u8,
    /// Port of the end that is reached, host byte order; the type of an ICMP message.
    pub port: u16,
    /// Leading bits of `port` that count, 0 to 16; the others are 0.
    pub port_bits: u8,
}

impl PolicyKey {
    /// Whether the key says one thing in one way.
    pub fn is_valid(&self) -> bool {
        let rest = u32::from(self.port_bits);
        rest <= 16
            && (self.protocol != 0 || rest == 0)
            && u32::from(self.port) & (0xffff >> rest) == 0
    }
}

/// What a policy says of a packet. Of several lookups the highest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing allows it.
    DefaultDeny,
    /// A rule allows it.
    Allow,
    /// A rule forbids it.
    Deny,
}

/// An entry of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PolicyEntry {
    /// What it says.
    pub verdict: Verdict,
    /// A number of the caller's that events repeat; 0 is "no entry" there.
    pub cookie: u32,
}
