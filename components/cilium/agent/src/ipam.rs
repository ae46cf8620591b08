//! The node's share of the cluster pool: which pod has which address. Pure; the time comes in as an argument.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;

/// An ADD that has not confirmed its address after this time will not do so any more.
pub const LEASE: Duration = Duration::from_mins(10);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    #[error("no free address in {0}; delete pods of this node or give it a larger podCIDR")]
    Exhausted(String),
    #[error("address {0} is outside this node's podCIDRs")]
    Foreign(Ipv4Addr),
    #[error("address {address} belongs to {owner}")]
    Taken { address: Ipv4Addr, owner: String },
    #[error("the lease of address {0} has run out or was given to another caller; call ADD again")]
    LeaseLost(Ipv4Addr),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Use {
    /// The node's own, for ever.
    Router,
    Leased {
        owner: String,
        token: String,
        until: Instant,
    },
    Confirmed {
        owner: String,
    },
}

/// Hands out addresses in a circle, so that a freed address rests as long as possible before somebody else has it.
#[derive(Debug)]
pub struct Pool {
    cidrs: Vec<Ipv4Net>,
    used: BTreeMap<Ipv4Addr, Use>,
    last: Option<Ipv4Addr>,
}

impl Pool {
    /// `router` is never handed out.
    pub fn new(cidrs: Vec<Ipv4Net>, router: Ipv4Addr) -> Self {
        Self {
            cidrs,
            used: BTreeMap::from([(router, Use::Router)]),
            last: None,
        }
    }

    pub fn cidrs(&self) -> &[Ipv4Net] {
        &self.cidrs
    }

    /// The addresses in use with their users, leases included.
    pub fn allocations(&self) -> BTreeMap<Ipv4Addr, String> {
        self.used
            .iter()
            .map(|(address, used)| (*address, owner_of(used).to_owned()))
            .collect()
    }

    /// How many addresses can be in use at once, the router's included.
    pub fn capacity(&self) -> usize {
        self.cidrs.iter().map(|cidr| cidr.hosts().count()).sum()
    }

    /// An address that goes back at `now + LEASE` unless [`Self::confirm`] names `token`.
    pub fn lease(&mut self, owner: &str, token: &str, now: Instant) -> Result<Ipv4Addr, PoolError> {
        self.expire(now);
        let address = self.next_free().ok_or_else(|| {
            let cidrs: Vec<_> = self.cidrs.iter().map(ToString::to_string).collect();
            PoolError::Exhausted(cidrs.join(", "))
        })?;
        self.last = Some(address);
        self.used.insert(
            address,
            Use::Leased {
                owner: owner.to_owned(),
                token: token.to_owned(),
                until: now + LEASE,
            },
        );
        Ok(address)
    }

    /// Makes a lease an endpoint's own. An address leased before a restart is unknown, and confirmed when it is free.
    pub fn confirm(
        &mut self,
        address: Ipv4Addr,
        token: &str,
        owner: &str,
        now: Instant,
    ) -> Result<(), PoolError> {
        self.expire(now);
        match self.used.get(&address) {
            Some(Use::Leased { token: known, .. }) if known == token => {}
            Some(Use::Leased { .. }) => return Err(PoolError::LeaseLost(address)),
            Some(used) => {
                return Err(PoolError::Taken {
                    address,
                    owner: owner_of(used).to_owned(),
                });
            }
            None => self.check_inside(address)?,
        }
        self.keep(address, owner);
        Ok(())
    }

    /// Takes an address that an endpoint of an earlier process holds. One outside the podCIDRs is kept too: the pod
    /// runs with it.
    pub fn restore(&mut self, address: Ipv4Addr, owner: &str) -> Result<(), PoolError> {
        if let Some(used) = self.used.get(&address) {
            return Err(PoolError::Taken {
                address,
                owner: owner_of(used).to_owned(),
            });
        }
        self.keep(address, owner);
        Ok(())
    }

    /// Gives back what `owner` confirmed. Whether it did.
    pub fn release(&mut self, address: Ipv4Addr, owner: &str) -> bool {
        let held = matches!(self.used.get(&address), Some(Use::Confirmed { owner: known }) if known == owner);
        if held {
            self.used.remove(&address);
        }
        held
    }

    /// Gives back a lease that will not be confirmed. An endpoint's address stays with its endpoint.
    pub fn release_lease(&mut self, address: Ipv4Addr) -> Result<(), PoolError> {
        match self.used.get(&address) {
            None => Ok(()),
            Some(Use::Leased { .. }) => {
                self.used.remove(&address);
                Ok(())
            }
            Some(used) => Err(PoolError::Taken {
                address,
                owner: owner_of(used).to_owned(),
            }),
        }
    }

    fn expire(&mut self, now: Instant) {
        self.used
            .retain(|_, used| !matches!(used, Use::Leased { until, .. } if *until <= now));
    }

    fn keep(&mut self, address: Ipv4Addr, owner: &str) {
        let owner = owner.to_owned();
        self.used.insert(address, Use::Confirmed { owner });
    }

    fn check_inside(&self, address: Ipv4Addr) -> Result<(), PoolError> {
        let inside = self.cidrs.iter().any(|cidr| {
            cidr.contains(&address) && address != cidr.network() && address != cidr.broadcast()
        });
        if inside {
            Ok(())
        } else {
            Err(PoolError::Foreign(address))
        }
    }

    fn next_free(&self) -> Option<Ipv4Addr> {
        let all = || self.cidrs.iter().flat_map(Ipv4Net::hosts);
        let after = all().filter(|address| Some(*address) > self.last);
        after
            .chain(all())
            .find(|address| !self.used.contains_key(address))
    }
}

/// The address of the node inside its podCIDR: the first one no restored endpoint holds.
pub fn router_address(cidrs: &[Ipv4Net], held: &[Ipv4Addr]) -> Option<Ipv4Addr> {
    cidrs
        .iter()
        .flat_map(Ipv4Net::hosts)
        .find(|address| !held.contains(address))
}

fn owner_of(used: &Use) -> &str {
    match used {
        Use::Router => "router",
        Use::Leased { owner, .. } | Use::Confirmed { owner } => owner,
    }
}

#[cfg(test)]
mod tests;
