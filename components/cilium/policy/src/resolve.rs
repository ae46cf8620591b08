//! From rules and peers to the entries of one map.

use std::collections::BTreeSet;

use cilium_api::NumericIdentity;

use crate::{
    cluster::Cluster,
    cookies::{Origin, Origins},
    fault::{Fault, Faults},
    input::NamedPorts,
    key::{ANYONE, CLUSTER, Direction, Key, Verdict, WORLD},
    peer_cache::{PeerCache, PeersId},
    rule::{Ports, Prefix},
    selector::LabelSelector,
};

/// A rule with its peers in the cache.
#[derive(Clone, Debug)]
pub(crate) struct ActiveRule {
    pub(crate) subject: LabelSelector,
    pub(crate) origin: Origin,
    pub(crate) isolates: BTreeSet<Direction>,
    pub(crate) grants: Vec<ActiveGrant>,
}

impl ActiveRule {
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeersId> + '_ {
        self.grants
            .iter()
            .flat_map(|grant| grant.peers.iter().copied())
    }
}

#[derive(Clone, Debug)]
pub(crate) struct ActiveGrant {
    pub(crate) direction: Direction,
    pub(crate) verdict: Verdict,
    pub(crate) peers: Vec<PeersId>,
    pub(crate) ports: Vec<Ports>,
}

/// What one map is resolved from.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) cache: &'a PeerCache,
    pub(crate) rules: &'a [&'a ActiveRule],
    pub(crate) own_ports: &'a NamedPorts,
    /// Isolated whatever the policies say: pods of which nothing is known yet.
    pub(crate) always: bool,
    pub(crate) faults: Faults,
}

/// What one rule says about one key. The order is that of a walk through the trie: a shorter prefix before those in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Contribution {
    identity: u32,
    direction: Direction,
    prefix: Prefix,
    verdict: Verdict,
    origin: Option<Origin>,
}

/// An entry before its set of policies has a number.
pub(crate) type Resolved = (Key, Verdict, Origins);

impl View<'_> {
    pub(crate) fn enforced(&self, direction: Direction) -> bool {
        self.always || self.rules.iter().any(|r| r.isolates.contains(&direction))
    }

    /// The entries of the whole map, in order.
    pub(crate) fn everything(&self) -> Vec<Resolved> {
        self.entries(None)
    }

    /// The entries of some peers, in order. Not for [`ANYONE`].
    pub(crate) fn of(&self, peers: &BTreeSet<u32>) -> Vec<Resolved> {
        self.entries(Some(peers))
    }

    /// The rule that adds most to the map.
    pub(crate) fn greatest(&self) -> Option<Origin> {
        let mut counts = std::collections::BTreeMap::<Origin, usize>::new();
        for origin in self.contributions(None).iter().filter_map(|c| c.origin) {
            *counts.entry(origin).or_default() += 1;
        }
        counts
            .into_iter()
            .max_by_key(|(_, count)| *count)
            .map(|(origin, _)| origin)
    }

    fn entries(&self, only: Option<&BTreeSet<u32>>) -> Vec<Resolved> {
        let mut contributions = self.contributions(only);
        contributions.sort_unstable();
        let mut entries = Vec::new();
        // Prefixes the current one lies in, each with what the trie answers there.
        let mut around: Vec<Contribution> = Vec::new();
        for same in contributions.chunk_by(|a, b| a.place() == b.place()) {
            let (here, origins) = self.strongest(same);
            while around.last().is_some_and(|outer| !outer.encloses(&here)) {
                around.pop();
            }
            // A longer prefix hides a shorter one, so it may not say less; that it says the same needs no entry.
            let hides = around
                .last()
                .is_none_or(|outer| outer.verdict < here.verdict);
            if hides || self.faults.has(Fault::NarrowAllowBeatsDeny) {
                entries.push((here.key(), here.verdict, origins));
                around.push(here);
            }
        }
        entries
    }

    fn strongest(&self, same: &[Contribution]) -> (Contribution, Origins) {
        let mut here = same[same.len() - 1];
        if self.faults.has(Fault::AllowBeatsDeny)
            && let Some(allow) = same.iter().find(|c| c.verdict == Verdict::Allow)
        {
            here = *allow;
        }
        let mut origins: Origins = same
            .iter()
            .filter(|c| c.verdict == here.verdict)
            .filter_map(|c| c.origin)
            .collect();
        origins.dedup();
        (here, origins)
    }

    fn contributions(&self, only: Option<&BTreeSet<u32>>) -> Vec<Contribution> {
        let mut all = Vec::new();
        let wanted = |identity: u32| only.is_none_or(|set| set.contains(&identity));
        if wanted(ANYONE) {
            for direction in Direction::BOTH {
                self.defaults(direction, &mut all);
            }
        }
        for rule in self.rules {
            for grant in &rule.grants {
                self.granted(rule.origin, grant, only, &mut all);
            }
        }
        // Nobody may cut a node off from its own pods: the kubelet probes them.
        let host = NumericIdentity::HOST.0;
        all.retain(|c| (c.identity, c.direction) != (host, Direction::Ingress));
        if wanted(host) {
            all.push(Contribution {
                identity: host,
                direction: Direction::Ingress,
                prefix: Prefix::ALL,
                verdict: Verdict::Allow,
                origin: None,
            });
        }
        all
    }

    /// What happens to everyone no rule speaks of.
    fn defaults(&self, direction: Direction, all: &mut Vec<Contribution>) {
        let verdict = if self.enforced(direction) {
            Verdict::DefaultDeny
        } else {
            Verdict::Allow
        };
        let base = Contribution {
            identity: ANYONE,
            direction,
            prefix: Prefix::ALL,
            verdict,
            origin: None,
        };
        all.push(base);
        let isolating = self
            .rules
            .iter()
            .filter(|r| r.isolates.contains(&direction));
        all.extend(isolating.map(|r| Contribution {
            origin: Some(r.origin),
            ..base
        }));
    }

    fn granted(
        &self,
        origin: Origin,
        grant: &ActiveGrant,
        only: Option<&BTreeSet<u32>>,
        all: &mut Vec<Contribution>,
    ) {
        let mut add = |identity, prefix| {
            all.push(Contribution {
                identity,
                direction: grant.direction,
                prefix,
                verdict: grant.verdict,
                origin: Some(origin),
            });
        };
        let fixed = self.fixed_ports(grant);
        let names = if grant.direction == Direction::Egress {
            grant.ports.as_slice()
        } else {
            &[]
        };
        for id in &grant.peers {
            self.each(*id, only, |peer| {
                for prefix in &fixed {
                    add(peer, *prefix);
                }
            });
        }
        for port in names {
            if let Ports::Named { name, protocol } = port {
                for (peer, numbers) in self.cluster.named(name, *protocol).into_iter().flatten() {
                    if only.is_none_or(|set| set.contains(peer)) && self.speaks_of(grant, *peer) {
                        for n in numbers {
                            add(*peer, Prefix::port(*protocol, *n));
                        }
                    }
                }
            }
        }
    }

    /// Ports that are the same whoever the peer is: of packets towards the endpoint its own names are among them.
    fn fixed_ports(&self, grant: &ActiveGrant) -> Vec<Prefix> {
        let mut prefixes = Vec::new();
        for port in &grant.ports {
            match port {
                Ports::Prefix(prefix) => prefixes.push(*prefix),
                Ports::Named { name, protocol } if grant.direction == Direction::Ingress => {
                    let numbers = self.own_ports.get(&(name.clone(), *protocol));
                    prefixes.extend(
                        numbers
                            .into_iter()
                            .flatten()
                            .map(|n| Prefix::port(*protocol, *n)),
                    );
                }
                Ports::Named { .. } => {}
            }
        }
        prefixes
    }

    fn each(&self, id: PeersId, only: Option<&BTreeSet<u32>>, mut found: impl FnMut(u32)) {
        match only {
            None => self.cache.numbers(id).for_each(found),
            Some(set) => set
                .iter()
                .copied()
                .filter(|n| self.cache.contains(id, *n))
                .for_each(&mut found),
        }
    }

    /// Whether an identity is among the peers, by itself or because all are.
    fn speaks_of(&self, grant: &ActiveGrant, peer: u32) -> bool {
        let wide = if peer == WORLD { WORLD } else { CLUSTER };
        grant.peers.iter().any(|id| {
            [peer, wide, ANYONE]
                .iter()
                .any(|n| self.cache.contains(*id, *n))
        })
    }
}

impl Contribution {
    fn place(&self) -> (u32, Direction, Prefix) {
        (self.identity, self.direction, self.prefix)
    }

    fn encloses(&self, other: &Self) -> bool {
        (self.identity, self.direction) == (other.identity, other.direction)
            && self.prefix.covers(other.prefix)
    }

    fn key(&self) -> Key {
        Key {
            identity: self.identity,
            direction: self.direction,
            protocol: self.prefix.protocol,
            port: self.prefix.port,
            port_bits: self.prefix.bits,
        }
    }
}
