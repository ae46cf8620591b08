//! podCIDRs: which node has which part of the cluster pool.
//!
//! A node keeps what it has. A claim that overlaps another node's, or that somebody else wrote outside the pool, is
//! refused and replaced: two owners of one address would take each other's traffic (security.md test 12).

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv4Net;
use jiff::Timestamp;

use crate::pool::{Pool, Taken};

pub mod controller;

/// What one CiliumNode says about its podCIDRs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// Name of the node.
    pub node: String,
    /// `spec.ipam.podCIDRs` as written.
    pub cidrs: Vec<String>,
    /// Whether cilium-operator is the one who wrote them.
    pub ours: bool,
    /// The podCIDR its agent runs with, when there is none in the spec: a CRD that was removed and made again must not
    /// renumber nodes with running pods.
    pub wish: Option<Ipv4Net>,
    /// When the CiliumNode was made.
    pub created: Option<Timestamp>,
}

/// What is to become of a node's podCIDRs.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// They stay.
    Keep(Vec<Ipv4Net>),
    /// These are written, because there were none or because what there was is refused.
    Assign {
        /// The podCIDRs.
        cidrs: Vec<Ipv4Net>,
        /// Why the old ones are refused.
        refused: Option<String>,
    },
    /// None can be given; the sentence for the node's status.
    Exhausted(String),
}

/// podCIDRs by node: what the operator knows to be right.
pub type Owners = BTreeMap<String, Vec<Ipv4Net>>;

/// Decides about every node.
///
/// `owners` is what the operator itself has given or accepted before, for nodes that still exist; it wins over what a
/// CiliumNode says now. `elsewhere` is taken by objects that cannot be read.
pub fn plan(
    claims: &[Claim],
    pool: &Pool,
    owners: &Owners,
    elsewhere: &[Ipv4Net],
) -> BTreeMap<String, Verdict> {
    let mut plan = Planner {
        pool,
        taken: Taken::default(),
        verdicts: BTreeMap::new(),
    };
    for &net in owners.values().flatten().chain(elsewhere) {
        // Owners never overlap; an unreadable object's claim may, and then counts as taken already.
        let _ = plan.taken.insert(net);
    }
    let mut unowned: Vec<&Claim> = Vec::new();
    for claim in claims {
        match owners.get(&claim.node) {
            Some(right) => plan.hold_to(claim, right),
            None => unowned.push(claim),
        }
    }
    unowned.sort_by_key(|c| (c.cidrs.is_empty(), !c.ours, c.created, c.node.clone()));
    for claim in &unowned {
        plan.accept(claim);
    }
    plan.give(&unowned);
    plan.verdicts
}

/// What is taken when every verdict is carried out.
pub fn taken(verdicts: &BTreeMap<String, Verdict>) -> Taken {
    let mut taken = Taken::default();
    for verdict in verdicts.values() {
        if let Verdict::Keep(cidrs) | Verdict::Assign { cidrs, .. } = verdict {
            for &net in cidrs {
                let _ = taken.insert(net);
            }
        }
    }
    taken
}

struct Planner<'a> {
    pool: &'a Pool,
    taken: Taken,
    verdicts: BTreeMap<String, Verdict>,
}

impl Planner<'_> {
    fn hold_to(&mut self, claim: &Claim, right: &[Ipv4Net]) {
        let written: Vec<Ipv4Net> = claim.cidrs.iter().filter_map(|c| c.parse().ok()).collect();
        let verdict = if written == right && written.len() == claim.cidrs.len() {
            Verdict::Keep(written)
        } else {
            let refused = (!claim.cidrs.is_empty()).then(|| {
                let (node, has, right) = (&claim.node, claim.cidrs.join(", "), list(right));
                format!("podCIDRs {has} of CiliumNode {node} were not given by cilium-operator; {right} is restored")
            });
            Verdict::Assign {
                cidrs: right.to_vec(),
                refused,
            }
        };
        self.verdicts.insert(claim.node.clone(), verdict);
    }

    fn accept(&mut self, claim: &Claim) {
        let verdict = match self.admit(claim) {
            Ok(cidrs) if cidrs.is_empty() => match claim.wish.filter(|&wish| self.grant(wish)) {
                Some(wish) => Verdict::Assign {
                    cidrs: vec![wish],
                    refused: None,
                },
                None => return,
            },
            Ok(cidrs) => Verdict::Keep(cidrs),
            // The new block is found in `give`, when every existing claim has been seen.
            Err(refused) => Verdict::Assign {
                cidrs: Vec::new(),
                refused: Some(refused),
            },
        };
        self.verdicts.insert(claim.node.clone(), verdict);
    }

    /// Takes all CIDRs of a claim, or none and says why.
    fn admit(&mut self, claim: &Claim) -> Result<Vec<Ipv4Net>, String> {
        let node = &claim.node;
        let mut admitted: Vec<Ipv4Net> = Vec::new();
        for text in &claim.cidrs {
            let outcome = match text.parse::<Ipv4Net>() {
                Ok(net) if net != net.trunc() => Err("has bits set behind its prefix".to_owned()),
                Ok(net) if !claim.ours && !self.pool.contains(net) => Err(
                    "lies outside the cluster pool and was not given by cilium-operator".to_owned(),
                ),
                Ok(net) => self
                    .taken
                    .insert(net)
                    .map(|()| net)
                    .map_err(|other| format!("overlaps {other}, which has an owner")),
                Err(_) => Err("is no IPv4 network".to_owned()),
            };
            match outcome {
                Ok(net) => admitted.push(net),
                Err(why) => {
                    for net in admitted {
                        self.taken.remove(net);
                    }
                    return Err(format!(
                        "podCIDR {text} of CiliumNode {node} {why}; another is given"
                    ));
                }
            }
        }
        Ok(admitted)
    }

    /// Takes a wished-for block, if it is free, of the pool and no larger than what a node gets anyway.
    fn grant(&mut self, wish: Ipv4Net) -> bool {
        wish == wish.trunc() && self.pool.is_share(wish) && self.taken.insert(wish).is_ok()
    }

    fn give(&mut self, claims: &[&Claim]) {
        for claim in claims {
            let refused = match self.verdicts.get(&claim.node) {
                Some(Verdict::Keep(_) | Verdict::Exhausted(_)) => continue,
                Some(Verdict::Assign { cidrs, .. }) if !cidrs.is_empty() => continue,
                Some(Verdict::Assign { refused, .. }) => refused.clone(),
                None => None,
            };
            let verdict = match self.pool.first_free(&self.taken) {
                Some(block) => {
                    let _ = self.taken.insert(block);
                    Verdict::Assign {
                        cidrs: vec![block],
                        refused,
                    }
                }
                None => Verdict::Exhausted(format!(
                    "no podCIDR left in the cluster pool for node {}; add a network to clusterPoolIPv4CIDRs",
                    claim.node
                )),
            };
            self.verdicts.insert(claim.node.clone(), verdict);
        }
    }
}

fn list(nets: &[Ipv4Net]) -> String {
    nets.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Owners after a plan: what was accepted joins, nodes that no longer exist leave.
///
/// A node whose CiliumNode is gone keeps its block while its Node exists: its pods still run on those addresses.
pub fn remember(
    owners: &mut Owners,
    verdicts: &BTreeMap<String, Verdict>,
    existing: &BTreeSet<String>,
) {
    owners.retain(|node, _| existing.contains(node));
    for (node, verdict) in verdicts {
        if let Verdict::Keep(cidrs) = verdict {
            owners.insert(node.clone(), cidrs.clone());
        }
    }
}

#[cfg(test)]
mod tests;
