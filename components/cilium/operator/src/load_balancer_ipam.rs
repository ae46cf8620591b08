//! Addresses of Services of type LoadBalancer, out of CiliumLoadBalancerIPPools.
//!
//! What the Services' statuses say is all there is to remember: a Service keeps what it has while a pool has it and
//! selects the Service. Nothing is taken away because a pool is closed, contradicts something, cannot be read, or because
//! there is no pool at all; a definition removed by mistake must not cut off every Service.

use std::{collections::BTreeMap, net::Ipv4Addr};

use cilium_api::CiliumLoadBalancerIPPool;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, Service};

use self::{
    book::Book,
    claim::{Claim, Standing},
    planner::Planner,
    said::Grant,
};
pub use self::{
    pool::Own,
    span::{Owned, Span},
};
use crate::cache::Key;

mod book;
mod claim;
pub mod controller;
mod planner;
mod pool;
mod said;
mod span;

/// Reason of a Service that has some of the addresses it asks for. Of a Service that has none the reason is another one,
/// so that addresses of ours can be told from those a cloud controller wrote meanwhile.
const PARTLY: &str = "partly_satisfied";

/// Everything a plan depends on.
#[derive(Debug, Default)]
pub struct Input<'a> {
    /// Every pool that can be read.
    pub pools: Vec<&'a CiliumLoadBalancerIPPool>,
    /// Whether there are pools that cannot: any address may be theirs.
    pub unreadable_pools: bool,
    /// Every Service that can be read.
    pub services: Vec<&'a Service>,
    /// Addresses of Services that cannot.
    pub elsewhere: Vec<(Key, Ipv4Addr)>,
    /// Addresses and podCIDRs of the nodes.
    pub cluster: Owned<Own<'a>>,
}

/// What is to be.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The status of each Service that is ours or was. Others are left alone.
    pub services: BTreeMap<Key, Wanted>,
    /// What there is to say of each pool.
    pub pools: BTreeMap<String, Report>,
    /// Services that some pool selects.
    pub matching: usize,
    /// Services without all they ask for.
    pub unsatisfied: usize,
}

/// What the status of a Service is to be.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// All of `loadBalancer.ingress`.
    pub ingress: Vec<LoadBalancerIngress>,
    /// Our condition; `None`: there is none.
    pub condition: Option<Said>,
}

/// A condition without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What it is about.
    pub type_: &'static str,
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// One word for programs.
    pub reason: &'static str,
    /// A sentence for people, or a number.
    pub message: String,
}

/// What there is to say of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Whether it gives nothing because of a contradiction.
    pub conflicting: bool,
    /// Addresses that somebody has.
    pub used: u64,
    /// Addresses that nobody has.
    pub available: u64,
    /// All of our conditions.
    pub conditions: Vec<Said>,
}

/// Decides about every Service and every pool.
///
/// Who has an address keeps it before anybody gets one, who asks for one gets it before others get just any, and among
/// equals the older Service comes first.
pub fn plan(input: &Input<'_>) -> Plan {
    let pools = pool::read(&input.pools, &input.cluster);
    let mut claims: Vec<Claim<'_>> = input
        .services
        .iter()
        .filter_map(|service| Claim::of(service, &pools))
        .collect();
    claims.sort_by_cached_key(|claim| (claim.created, claim.key.clone()));
    let (served, others): (Vec<_>, Vec<_>) = claims
        .into_iter()
        .partition(|claim| matches!(claim.standing, Standing::Served));
    let mut planner = Planner {
        keeps_all: input.unreadable_pools || pools.is_empty(),
        pools,
        book: Book::default(),
    };
    let mut grants: Vec<Grant> = served.iter().map(|claim| planner.keep(claim)).collect();
    planner.note(&others, &input.elsewhere);
    for (claim, grant) in served.iter().zip(&mut grants) {
        planner.give_requested(claim, grant);
    }
    for (claim, grant) in served.iter().zip(&mut grants) {
        planner.give_lowest(claim, grant);
    }
    for (claim, grant) in served.iter().zip(&mut grants) {
        planner.explain(claim, grant);
    }
    planner.sum_up(&served, grants, &others)
}

#[cfg(test)]
mod tests;
