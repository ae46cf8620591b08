//! What is said of Services and of pools.

use std::net::Ipv4Addr;

use cilium_api::load_balancer_pool::{
    IPS_AVAILABLE, IPS_TOTAL, IPS_USED, POOL_CONFLICT, REQUEST_SATISFIED,
};
use k8s_openapi::api::core::v1::LoadBalancerIngress;

use super::{
    PARTLY, Report, Said, Wanted,
    claim::{self, Claim},
    pool::Pool,
};

/// Sentences and names a message has; more would drown the first.
const NAMED: usize = 5;

/// What becomes of one Service that is ours.
#[derive(Debug, Default)]
pub(super) struct Grant {
    pub(super) addresses: Vec<Ipv4Addr>,
    pub(super) problems: Vec<Problem>,
    /// Addresses it asks for and somebody else has.
    pub(super) denied: Vec<Ipv4Addr>,
}

#[derive(Debug)]
pub(super) struct Problem {
    pub(super) reason: &'static str,
    pub(super) sentence: String,
}

impl Grant {
    pub(super) fn wanted(self, claim: &Claim<'_>) -> Wanted {
        let entry = |address: &Ipv4Addr| {
            let mut had = claim.ingress.iter();
            // With the fields the API server has added.
            let had = had.find(|entry| claim::address(entry) == Some(*address));
            had.cloned().unwrap_or_else(|| LoadBalancerIngress {
                ip: Some(address.to_string()),
                ..LoadBalancerIngress::default()
            })
        };
        let (status, reason, message) = match self.problems.first() {
            None => (
                "True",
                "satisfied",
                "the Service has the addresses it asks for".to_owned(),
            ),
            Some(first) => {
                let sentences: Vec<&str> =
                    self.problems.iter().map(|p| p.sentence.as_str()).collect();
                let reason = if self.addresses.is_empty() {
                    first.reason
                } else {
                    PARTLY
                };
                ("False", reason, first_of(&sentences, "; "))
            }
        };
        Wanted {
            ingress: self.addresses.iter().map(entry).collect(),
            condition: Some(Said {
                type_: REQUEST_SATISFIED,
                status,
                reason,
                message,
            }),
        }
    }
}

impl Report {
    pub(super) fn of(pool: &Pool<'_>, used: u64) -> Self {
        let total = pool.spans.size();
        let available = total.saturating_sub(used);
        let (status, reason, message) = match &pool.conflict {
            Some(conflict) => ("True", conflict.reason, conflict.message.clone()),
            None if pool.not_served.is_empty() => (
                "False",
                "no_conflict",
                "the pool contradicts nothing".to_owned(),
            ),
            None => {
                let blocks: Vec<&str> = pool.not_served.iter().map(String::as_str).collect();
                let message = format!(
                    "block {} of CiliumLoadBalancerIPPool {} is IPv6 and gives nothing: only IPv4 is served",
                    first_of(&blocks, ", "),
                    pool.name
                );
                ("False", "ipv6_not_served", message)
            }
        };
        let number = |type_, number: u64| Said {
            type_,
            status: "Unknown",
            reason: "noreason",
            message: number.to_string(),
        };
        Self {
            conflicting: pool.conflict.is_some(),
            used,
            available,
            conditions: vec![
                Said {
                    type_: POOL_CONFLICT,
                    status,
                    reason,
                    message,
                },
                number(IPS_TOTAL, total),
                number(IPS_AVAILABLE, available),
                number(IPS_USED, used),
            ],
        }
    }
}

/// The first few, and how many there are beyond.
pub(super) fn first_of<T: AsRef<str>>(all: &[T], between: &str) -> String {
    let beyond = (all.len() > NAMED).then(|| format!("and {} more", all.len() - NAMED));
    let named = all.iter().take(NAMED).map(AsRef::as_ref);
    named
        .chain(beyond.as_deref())
        .collect::<Vec<&str>>()
        .join(between)
}
