//! The steps of a plan: who keeps, who gets what was asked for, who gets the lowest that is free.

use std::net::Ipv4Addr;

use super::{
    Plan, Report, Wanted,
    book::Book,
    claim::{self, Claim, Request, Standing},
    pool::Pool,
    said::{Grant, Problem, first_of},
};
use crate::cache::Key;

/// Addresses with its sharing key a Service looks at before it gets one of its own. Beyond that, Services that share a key
/// and a port would each look at all the others.
const SHARED_LOOKED_AT: usize = 64;

pub(super) struct Planner<'a> {
    pub(super) pools: Vec<Pool<'a>>,
    pub(super) book: Book,
    /// What is known of pools is no ground to take anything away.
    pub(super) keeps_all: bool,
}

impl Planner<'_> {
    pub(super) fn keep(&mut self, claim: &Claim<'_>) -> Grant {
        let mut grant = Grant::default();
        for address in claim.held() {
            let mut pools = self.pools.iter();
            let left = self.keeps_all || pools.any(|pool| pool.leaves(&claim.labels, address));
            if left && claim.still_wants(address) && self.book.take(address, claim) {
                grant.addresses.push(address);
            }
        }
        grant
    }

    /// After what is kept: somebody who writes an address of ours into another Service must not take it from its holder.
    pub(super) fn note(&mut self, others: &[Claim<'_>], elsewhere: &[(Key, Ipv4Addr)]) {
        for claim in others {
            let entries = match &claim.standing {
                Standing::Leaving(left) => left.as_slice(),
                Standing::Theirs | Standing::Served => claim.ingress,
            };
            for address in entries.iter().filter_map(claim::address) {
                self.book.note(address, &claim.key);
            }
        }
        for (key, address) in elsewhere {
            self.book.note(*address, key);
        }
    }

    pub(super) fn give_requested(&mut self, claim: &Claim<'_>, grant: &mut Grant) {
        for request in &claim.requests {
            let address = match request {
                Request::Address(address) => *address,
                Request::Unusable(sentence) => {
                    grant.problems.push(Problem {
                        reason: "invalid_request",
                        sentence: sentence.clone(),
                    });
                    continue;
                }
            };
            if grant.addresses.contains(&address) {
                continue;
            }
            match self.given_by_a_pool(claim, address) {
                Err(problem) => grant.problems.push(problem),
                Ok(()) if self.book.take(address, claim) => grant.addresses.push(address),
                Ok(()) => grant.denied.push(address),
            }
        }
    }

    /// When all is given: who shares an address with its holder, and so what there is to say, is known only then.
    pub(super) fn explain(&self, claim: &Claim<'_>, grant: &mut Grant) {
        let denied = grant.denied.iter();
        let clashes =
            denied.filter_map(|&address| Some((address, self.book.clash(address, claim)?)));
        grant.problems.extend(clashes.map(|(address, clash)| Problem {
            reason: "already_allocated",
            sentence: format!(
                "{address}, which Service {} asks for, is held by Service {}, which {}; ask for another address",
                claim.key, clash.holder, clash.why
            ),
        }));
    }

    fn given_by_a_pool(&self, claim: &Claim<'_>, address: Ipv4Addr) -> Result<(), Problem> {
        let problem = |reason, what: String| Problem {
            reason,
            sentence: format!("{address}, which Service {} asks for, {what}", claim.key),
        };
        let having = || {
            self.pools
                .iter()
                .filter(|pool| pool.spans.contains(address))
        };
        let mut selecting = having()
            .filter(|pool| pool.selects(&claim.labels))
            .peekable();
        let first = selecting.peek().map(|pool| (pool.name, pool.closed()));
        if selecting.any(Pool::gives) {
            return Ok(());
        }
        Err(match (first, having().next()) {
            (Some((name, closed)), _) => {
                let closed = closed.unwrap_or("gives nothing");
                let what = format!(
                    "is of CiliumLoadBalancerIPPool {name}, which {closed}; its conditions say more"
                );
                problem("no_pool", what)
            }
            (None, Some(pool)) => problem(
                "pool_selector_mismatch",
                format!(
                    "is of CiliumLoadBalancerIPPool {}, which does not select the Service; change its serviceSelector or the Service's labels",
                    pool.name
                ),
            ),
            (None, None) => problem(
                "no_pool",
                "is in no CiliumLoadBalancerIPPool; add it to one or ask for another address"
                    .to_owned(),
            ),
        })
    }

    pub(super) fn give_lowest(&mut self, claim: &Claim<'_>, grant: &mut Grant) {
        if !claim.requests.is_empty() || !grant.addresses.is_empty() {
            return;
        }
        if !claim.ipv4 {
            grant.problems.push(Problem {
                reason: "ipv6_not_served",
                sentence: format!("Service {} has no IPv4 in ipFamilies, and pools give IPv4 addresses only; add it", claim.key),
            });
            return;
        }
        let selecting: Vec<usize> = (0..self.pools.len())
            .filter(|&at| self.pools[at].selects(&claim.labels))
            .collect();
        let found = self
            .join_sharers(claim, &selecting)
            .or_else(|| self.lowest_free(claim, &selecting));
        match found {
            Some(address) => grant.addresses.push(address),
            None => grant.problems.push(self.nothing_left(claim, &selecting)),
        }
    }

    fn join_sharers(&mut self, claim: &Claim<'_>, selecting: &[usize]) -> Option<Ipv4Addr> {
        let key = claim.sharing.key.as_deref()?;
        let pools = &self.pools;
        let of_a_pool = |address: &Ipv4Addr| {
            let mut giving = selecting.iter().map(|&at| &pools[at]).filter(|p| p.gives());
            giving.any(|pool| pool.spans.contains(*address))
        };
        let shared: Vec<Ipv4Addr> = self
            .book
            .shared_by(key)
            .take(SHARED_LOOKED_AT)
            .filter(of_a_pool)
            .collect();
        shared
            .into_iter()
            .find(|&address| self.book.take(address, claim))
    }

    fn lowest_free(&mut self, claim: &Claim<'_>, selecting: &[usize]) -> Option<Ipv4Addr> {
        let book = &self.book;
        let mut lowest: Option<Ipv4Addr> = None;
        for &at in selecting {
            let pool = &mut self.pools[at];
            if pool.gives() {
                let free = pool.cursor.lowest_free(&pool.spans, |a| book.taken(a));
                lowest = lowest.into_iter().chain(free).min();
            }
        }
        lowest.filter(|&address| self.book.take(address, claim))
    }

    fn nothing_left(&self, claim: &Claim<'_>, selecting: &[usize]) -> Problem {
        let pools = || selecting.iter().map(|&at| &self.pools[at]);
        let giving: Vec<&str> = pools().filter(|p| p.gives()).map(|p| p.name).collect();
        let closed: Vec<String> = pools()
            .filter_map(|p| Some(format!("{} {}", p.name, p.closed()?)))
            .collect();
        let (reason, sentence) = if !giving.is_empty() {
            let names = first_of(&giving, ", ");
            (
                "out_of_ips",
                format!(
                    "no address is left in CiliumLoadBalancerIPPool {names} for Service {}; add a block",
                    claim.key
                ),
            )
        } else if closed.is_empty() {
            (
                "no_pool",
                format!(
                    "no CiliumLoadBalancerIPPool selects Service {}; create one or change a serviceSelector",
                    claim.key
                ),
            )
        } else {
            let names = first_of(&closed, ", ");
            (
                "no_pool",
                format!(
                    "no CiliumLoadBalancerIPPool that selects Service {} gives new addresses: {names}; their conditions say more",
                    claim.key
                ),
            )
        };
        Problem { reason, sentence }
    }

    pub(super) fn sum_up(
        self,
        served: &[Claim<'_>],
        grants: Vec<Grant>,
        others: &[Claim<'_>],
    ) -> Plan {
        let mut plan = Plan::default();
        for claim in others {
            if let Standing::Leaving(left) = &claim.standing {
                let wanted = Wanted {
                    ingress: left.clone(),
                    condition: None,
                };
                plan.services.insert(claim.key.clone(), wanted);
            }
        }
        for (claim, grant) in served.iter().zip(grants) {
            // Where nobody has ever made a pool, Services are not told that there is none.
            if self.pools.is_empty() && !claim.told {
                continue;
            }
            plan.matching += usize::from(self.pools.iter().any(|p| p.selects(&claim.labels)));
            plan.unsatisfied += usize::from(!grant.problems.is_empty());
            plan.services.insert(claim.key.clone(), grant.wanted(claim));
        }
        for pool in &self.pools {
            let report = Report::of(pool, self.book.used(&pool.spans));
            plan.pools.insert(pool.name.to_owned(), report);
        }
        plan
    }
}
