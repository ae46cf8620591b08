//! A policy as the resolver uses it, whatever kind it came from.

use std::collections::BTreeSet;

use cilium_api::policy::Refusal;
use ipnet::Ipv4Net;

use crate::{
    input::{PolicyId, PolicyRef, ServiceName},
    key::{Direction, Verdict},
    selector::LabelSelector,
};

/// One policy object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) id: PolicyId,
    pub(crate) rules: Vec<Rule>,
    /// What of it is not followed.
    pub(crate) refusals: Vec<Refusal>,
}

/// What a policy does to the endpoints one selector chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) subject: LabelSelector,
    pub(crate) origin: PolicyRef,
    /// Directions in which nothing passes but what is allowed.
    pub(crate) isolates: BTreeSet<Direction>,
    pub(crate) grants: Vec<Grant>,
}

/// Allows or denies what comes from any of the peers to any of the ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) direction: Direction,
    pub(crate) verdict: Verdict,
    pub(crate) peers: Vec<Peers>,
    pub(crate) ports: Vec<Ports>,
}

impl Grant {
    /// Everything in a direction.
    pub(crate) fn everything(direction: Direction, verdict: Verdict) -> Self {
        Self {
            direction,
            verdict,
            peers: vec![Peers::Fixed([crate::key::ANYONE].into())],
            ports: vec![Ports::ALL],
        }
    }
}

/// Chooses peers. Equal values are evaluated once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peers {
    /// Identities and aggregates that never change.
    Fixed(BTreeSet<u32>),
    /// Pods, and in clusterwide policies reserved identities, by label.
    Labels(LabelSelector),
    /// Addresses.
    Addresses(Addresses),
}

/// Chooses addresses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Addresses {
    /// A network without its exceptions.
    Network {
        network: Ipv4Net,
        except: BTreeSet<Ipv4Net>,
        reach: Reach,
    },
    /// A CiliumCIDRGroup without exceptions.
    Group {
        name: String,
        except: BTreeSet<Ipv4Net>,
    },
    /// CiliumCIDRGroups by label, without exceptions.
    Groups {
        selector: LabelSelector,
        except: BTreeSet<Ipv4Net>,
    },
    /// Addresses of nodes by label.
    Nodes(LabelSelector),
    /// Backends of a Service.
    Service(ServiceName),
    /// Backends of Services by label, of one namespace or all.
    Services {
        selector: LabelSelector,
        namespace: Option<String>,
    },
}

/// Which addresses of a network are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Those outside the cluster.
    World,
    /// Those of pods and nodes.
    Cluster,
    /// All of them.
    Everywhere,
}

/// Ports of one protocol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ports {
    /// As a prefix of protocol and port.
    Prefix(Prefix),
    /// Whatever the destination calls so.
    Named { name: String, protocol: u8 },
}

/// A prefix of protocol and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Prefix {
    pub(crate) protocol: u8,
    pub(crate) port: u16,
    pub(crate) bits: u8,
}

impl Ports {
    /// Every protocol.
    pub(crate) const ALL: Self = Self::Prefix(Prefix::ALL);
}

impl Prefix {
    /// Every protocol.
    pub(crate) const ALL: Self = Self {
        protocol: 0,
        port: 0,
        bits: 0,
    };

    /// Every port of a protocol.
    pub(crate) const fn protocol(protocol: u8) -> Self {
        Self {
            protocol,
            port: 0,
            bits: 0,
        }
    }

    /// One port.
    pub(crate) const fn port(protocol: u8, port: u16) -> Self {
        Self {
            protocol,
            port,
            bits: 16,
        }
    }

    /// Whether everything in `other` is in this one.
    pub(crate) fn covers(self, other: Self) -> bool {
        if self.protocol == 0 {
            return true;
        }
        let mask = mask(self.bits);
        self.protocol == other.protocol
            && self.bits <= other.bits
            && self.port & mask == other.port & mask
    }

    /// The fewest prefixes that are exactly `first..=last`.
    pub(crate) fn range(protocol: u8, first: u16, last: u16) -> Vec<Self> {
        let mut prefixes = Vec::new();
        let (mut next, last) = (u32::from(first), u32::from(last));
        while next <= last {
            let aligned = if next == 0 {
                16
            } else {
                next.trailing_zeros().min(16)
            };
            let fits = (last - next + 1).ilog2();
            let free = aligned.min(fits);
            prefixes.push(Self {
                protocol,
                port: u16::try_from(next).unwrap_or(u16::MAX),
                bits: u8::try_from(16 - free).unwrap_or(16),
            });
            next += 1 << free;
        }
        prefixes
    }
}

fn mask(bits: u8) -> u16 {
    u16::try_from(0xffff_u32 << (16 - u32::from(bits.min(16))) & 0xffff).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_range_is_split_into_prefixes_that_hold_its_ports_and_no_others(a: u16, b: u16, probe: u16) {
            let (first, last) = (a.min(b), a.max(b));
            let prefixes = Prefix::range(6, first, last);
            prop_assert!(prefixes.len() <= 30);
            for port in [probe, first, last, first.saturating_sub(1), last.saturating_add(1)] {
                let hits = prefixes.iter().filter(|p| p.covers(Prefix::port(6, port))).count();
                prop_assert_eq!(hits, usize::from((first..=last).contains(&port)));
            }
        }
    }

    #[test]
    fn a_prefix_covers_longer_ones_of_its_protocol_only() {
        assert!(Prefix::ALL.covers(Prefix::port(17, 53)));
        assert!(Prefix::protocol(6).covers(Prefix::port(6, 80)));
        assert!(!Prefix::protocol(6).covers(Prefix::port(17, 80)));
        assert!(!Prefix::port(6, 80).covers(Prefix::protocol(6)));
        assert_eq!(Prefix::range(6, 0, 65_535), [Prefix::protocol(6)]);
    }
}
