//! Who has which address, and with whom others may have it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

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
    first: Key,
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
            first: holder.clone(),
            shared: None,
        });
    }

    /// Gives an address to a Service, unless somebody has it who does not share it with this one.
    pub(super) fn take(&mut self, address: Ipv4Addr, claim: &Claim<'_>) -> Result<(), Clash<'_>> {
        let Claim { key, sharing, .. } = claim;
        let namespace = (key.namespace.clone(), sharing.across.clone());
        let holder = match self.holders.entry(address) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                let shared = sharing.key.clone().map(|by| {
                    self.by_key.entry(by.clone()).or_default().insert(address);
                    Shared {
                        key: by,
                        traffic: sharing.traffic.clone(),
                        ports: sharing.ports.clone(),
                        namespaces: BTreeSet::from([namespace]),
                    }
                });
                let first = key.clone();
                vacant.insert(Holder { first, shared });
                return Ok(());
            }
            std::collections::btree_map::Entry::Occupied(occupied) => occupied.into_mut(),
        };
        match holder
            .shared
            .as_mut()
            .map(|shared| shared.admit(key, sharing))
        {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(Clash {
                holder: &holder.first,
                why,
            }),
            None => Err(Clash {
                holder: &holder.first,
                why: NOT_SHARED,
            }),
        }
    }
}

const NOT_SHARED: &str = "does not share it by the same sharing key";

impl Shared {
    fn admit(&mut self, key: &Key, sharing: &Sharing) -> Result<(), &'static str> {
        let both_ways = |(other, across): &(String, BTreeSet<String>)| {
            *other == key.namespace
                || (reaches(across, &key.namespace) && reaches(&sharing.across, other))
        };
        if sharing.key.as_ref() != Some(&self.key) {
            Err(NOT_SHARED)
        } else if !self.namespaces.iter().all(both_ways) {
            Err("is in another namespace, and not both share with the other's")
        } else if self.traffic != sharing.traffic {
            Err("has another externalTrafficPolicy, or with Local another selector")
        } else if !self.ports.is_disjoint(&sharing.ports) {
            Err("has a port in common with it")
        } else {
            self.ports.extend(sharing.ports.iter().cloned());
            self.namespaces
                .insert((key.namespace.clone(), sharing.across.clone()));
            Ok(())
        }
    }
}

fn reaches(across: &BTreeSet<String>, namespace: &str) -> bool {
    across.contains(namespace) || across.contains("*")
}
