//! Who has which address, and with whom others may have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use jiff::Timestamp;

use super::{
    claim::{Claim, Sharing, Traffic},
    span::Spans,
};
use crate::cache::Key;

/// Every address that somebody has.
#[derive(Debug, Default)]
pub(super) struct Book {
    holders: BTreeMap<Ipv4Addr, Holder>,
    by_key: BTreeMap<String, BTreeSet<Ipv4Addr>>,
}

/// Who has one address. What sharers have in common is kept once, so that one more costs the same however many there are.
#[derive(Debug)]
struct Holder {
    oldest: (Option<Timestamp>, Key),
    /// `None`: nobody else may have it.
    shared: Option<Shared>,
}

#[derive(Debug)]
struct Shared {
    key: String,
    traffic: Traffic,
    ports: BTreeSet<(String, i32)>,
    /// Namespaces of the sharers, with those each shares with.
    namespaces: BTreeSet<(String, BTreeSet<String>)>,
}

/// Why an address cannot be had.
#[derive(Debug)]
pub(super) struct Clash<'a> {
    pub(super) holder: &'a Key,
    pub(super) why: &'static str,
}

impl Book {
    /// Whether somebody has the address.
    pub(super) fn taken(&self, address: Ipv4Addr) -> bool {
        self.holders.contains_key(&address)
    }

    /// How many addresses of these somebody has.
    pub(super) fn used(&self, spans: &Spans) -> u64 {
        let counts = spans
            .iter()
            .map(|span| self.holders.range(span.first..=span.last).count() as u64);
        counts.sum()
    }

    /// Addresses that are shared by this key, the lowest first.
    pub(super) fn shared_by(&self, key: &str) -> impl Iterator<Item = Ipv4Addr> + '_ {
        self.by_key.get(key).into_iter().flatten().copied()
    }

    /// Notes that somebody has an address who is none of ours.
    pub(super) fn note(&mut self, address: Ipv4Addr, holder: &Key) {
        self.holders.entry(address).or_insert_with(|| Holder {
            oldest: (None, holder.clone()),
            shared: None,
        });
    }

    /// Gives an address to a Service, unless somebody has it who does not share it with this one.
    pub(super) fn take(&mut self, address: Ipv4Addr, claim: &Claim<'_>) -> bool {
        let Some(holder) = self.holders.get_mut(&address) else {
            self.holders.insert(address, Holder::first(claim));
            if let Some(key) = &claim.sharing.key {
                let addresses = self.by_key.entry(key.clone()).or_default();
                addresses.insert(address);
            }
            return true;
        };
        match &mut holder.shared {
            Some(shared) if shared.refuses(claim).is_none() => {
                shared.admit(claim);
                let joining = (claim.created, &claim.key);
                if joining < (holder.oldest.0, &holder.oldest.1) {
                    holder.oldest = (claim.created, claim.key.clone());
                }
                true
            }
            _ => false,
        }
    }

    /// Who keeps a Service from an address.
    pub(super) fn clash(&self, address: Ipv4Addr, claim: &Claim<'_>) -> Option<Clash<'_>> {
        let holder = self.holders.get(&address)?;
        let why = match &holder.shared {
            Some(shared) => shared.refuses(claim)?,
            None => NOT_SHARED,
        };
        Some(Clash {
            holder: &holder.oldest.1,
            why,
        })
    }
}

const NOT_SHARED: &str = "does not share it by the same sharing key";

impl Holder {
    fn first(claim: &Claim<'_>) -> Self {
        let Sharing {
            key,
            traffic,
            ports,
            ..
        } = &claim.sharing;
        Self {
            oldest: (claim.created, claim.key.clone()),
            shared: key.clone().map(|key| Shared {
                key,
                traffic: traffic.clone(),
                ports: ports.clone(),
                namespaces: BTreeSet::from([namespace(claim)]),
            }),
        }
    }
}

impl Shared {
    fn refuses(&self, claim: &Claim<'_>) -> Option<&'static str> {
        let Claim { key, sharing, .. } = claim;
        let both_ways = |(other, across): &(String, BTreeSet<String>)| {
            *other == key.namespace
                || (reaches(across, &key.namespace) && reaches(&sharing.across, other))
        };
        if sharing.key.as_ref() != Some(&self.key) {
            Some(NOT_SHARED)
        } else if !self.namespaces.iter().all(both_ways) {
            Some("is in another namespace, and not both share with the other's")
        } else if self.traffic != sharing.traffic {
            Some("has another externalTrafficPolicy, or with Local another selector")
        } else if !self.ports.is_disjoint(&sharing.ports) {
            Some("has a port in common with it")
        } else {
            None
        }
    }

    fn admit(&mut self, claim: &Claim<'_>) {
        self.ports.extend(claim.sharing.ports.iter().cloned());
        self.namespaces.insert(namespace(claim));
    }
}

/// The namespace of a Service, with those it shares with.
fn namespace(claim: &Claim<'_>) -> (String, BTreeSet<String>) {
    (claim.key.namespace.clone(), claim.sharing.across.clone())
}

fn reaches(across: &BTreeSet<String>, namespace: &str) -> bool {
    across.contains(namespace) || across.contains("*")
}
