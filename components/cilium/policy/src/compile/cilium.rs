//! CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy.

use std::collections::BTreeSet;

use cilium_api::policy::{
    ReadRule, Refusal,
    read::{Part, Section},
};

use super::{Context, origin, peers::Element, ports, selectors};
use crate::{
    fault::Fault,
    input::PolicyId,
    key::{ANYONE, Direction, Verdict},
    rule::{Grant, Peers, Policy, Ports, Rule},
    selector::{LabelSelector, Scope},
};

pub(super) fn policy(id: PolicyId, uid: &str, read: Vec<ReadRule>, context: Context<'_>) -> Policy {
    let mut refusals = Vec::new();
    let mut rules = Vec::new();
    for rule in read {
        rules.extend(self::rule(&id, uid, rule, context, &mut refusals));
    }
    refusals.sort();
    refusals.dedup();
    Policy {
        id,
        rules,
        refusals,
    }
}

fn rule(
    id: &PolicyId,
    uid: &str,
    read: ReadRule,
    context: Context<'_>,
    refusals: &mut Vec<Refusal>,
) -> Option<Rule> {
    refusals.extend(read.remarks.iter().cloned());
    let mut followed = read.refusals.is_empty() || context.faults.has(Fault::UnknownFieldDropped);
    refusals.extend(read.refusals.iter().cloned());
    if read.node_selector {
        followed = false;
        refusals.push(Refusal::new(
            format!("{}.nodeSelector", read.path),
            "chooses nodes, whose firewall is not supported; choose pods with endpointSelector",
        ));
    }
    let subject = match subject(&read, context) {
        Ok(subject) => subject?,
        Err(refusal) => {
            followed = false;
            refusals.push(refusal);
            everybody(context)
        }
    };
    let mut grants = Vec::new();
    for (section, direction, verdict) in sections(&read, context, refusals) {
        grants.extend(section.into_iter().filter_map(|part| match part {
            Ok(grant) => grant.map(|(peers, ports)| Grant {
                direction,
                verdict,
                peers,
                ports,
            }),
            Err(()) => (verdict == Verdict::Deny).then(|| Grant::everything(direction, verdict)),
        }));
    }
    grants.retain(|g| followed || g.verdict == Verdict::Deny);
    let isolates = isolates(&read, followed);
    if isolates.is_empty() && grants.is_empty() && followed {
        refusals.push(Refusal::new(
            read.path.clone(),
            "neither allows, denies nor isolates anything; to isolate, write a direction with one empty rule: [{}]",
        ));
    }
    Some(Rule {
        subject,
        origin: origin(id, uid, read.labels, read.log),
        isolates,
        grants,
    })
}

/// The pods the rule is for; `None` when it is for nodes alone.
fn subject(read: &ReadRule, context: Context<'_>) -> Result<Option<LabelSelector>, Refusal> {
    let path = format!("{}.endpointSelector", read.path);
    match &read.endpoint_selector {
        Some(Ok(selector)) => selectors::subject(&path, selector, context).map(Some),
        Some(Err(refusal)) => Err(refusal.clone()),
        None if read.node_selector => Ok(None),
        None => Err(Refusal::new(
            path,
            "is absent, so that the rule isolates every pod it could be for; choose pods, or all with {}",
        )),
    }
}

fn everybody(context: Context<'_>) -> LabelSelector {
    match context.namespace {
        Some(name) => LabelSelector::namespace(name),
        None => LabelSelector {
            scope: Scope::Everything,
            requirements: BTreeSet::new(),
        },
    }
}

/// Where nothing passes but what is allowed. A rule that cannot be followed isolates where it has rules, or both ways when
/// that cannot be told.
fn isolates(read: &ReadRule, followed: bool) -> BTreeSet<Direction> {
    let has = |direction| match direction {
        Direction::Ingress => !read.ingress.is_empty() || !read.ingress_deny.is_empty(),
        Direction::Egress => !read.egress.is_empty() || !read.egress_deny.is_empty(),
    };
    let says = |direction| match direction {
        Direction::Ingress => read.enable_default_deny.ingress,
        Direction::Egress => read.enable_default_deny.egress,
    };
    let unclear = !read.refusals.is_empty() && !followed;
    Direction::BOTH
        .into_iter()
        .filter(|d| unclear || says(*d).unwrap_or(has(*d)))
        .collect()
}

/// What an element grants: to nobody when it says nothing at all, nothing that is known when it cannot be followed.
type Compiled = Result<Option<Granted>, ()>;

/// To or from whom, and which ports.
type Granted = (Vec<Peers>, Vec<Ports>);

fn sections(
    read: &ReadRule,
    context: Context<'_>,
    refusals: &mut Vec<Refusal>,
) -> [(Vec<Compiled>, Direction, Verdict); 4] {
    let path = &read.path;
    [
        (
            compiled(&format!("{path}.ingress"), &read.ingress, context, refusals),
            Direction::Ingress,
            Verdict::Allow,
        ),
        (
            compiled(
                &format!("{path}.ingressDeny"),
                &read.ingress_deny,
                context,
                refusals,
            ),
            Direction::Ingress,
            Verdict::Deny,
        ),
        (
            compiled(&format!("{path}.egress"), &read.egress, context, refusals),
            Direction::Egress,
            Verdict::Allow,
        ),
        (
            compiled(
                &format!("{path}.egressDeny"),
                &read.egress_deny,
                context,
                refusals,
            ),
            Direction::Egress,
            Verdict::Deny,
        ),
    ]
}

fn compiled<'a, T>(
    path: &str,
    section: &'a Section<T>,
    context: Context<'_>,
    refusals: &mut Vec<Refusal>,
) -> Vec<Compiled>
where
    Element<'a>: From<&'a T>,
{
    let one = |(i, part): (usize, &'a Part<T>)| match part {
        Ok(element) => grant(&format!("{path}[{i}]"), &element.into(), context),
        Err(refusal)
            if context.faults.has(Fault::UnknownFieldDropped)
                && refusal.reason.contains("unknown field") =>
        {
            Ok(Some((
                vec![Peers::Fixed([ANYONE].into())],
                vec![Ports::ALL],
            )))
        }
        Err(refusal) => Err(vec![refusal.clone()]),
    };
    section
        .iter()
        .enumerate()
        .map(one)
        .map(|result| result.map_err(|found| refusals.extend(found)))
        .collect()
}

fn grant(
    path: &str,
    element: &Element<'_>,
    context: Context<'_>,
) -> Result<Option<Granted>, Vec<Refusal>> {
    let mut refusals: Vec<Refusal> = element
        .unsupported
        .iter()
        .map(|name| {
            Refusal::new(
                format!("{path}.{name}"),
                "is not supported; the rule is not followed as long as it is there",
            )
        })
        .collect();
    let peers = element.peers(path, context).unwrap_or_else(|found| {
        refusals.extend(found);
        None
    });
    let ports =
        ports::of_cilium(path, element.ports, element.icmps, context).unwrap_or_else(|found| {
            refusals.extend(found);
            None
        });
    if !refusals.is_empty() {
        return Err(refusals);
    }
    Ok(match (peers, ports) {
        (None, None) => None,
        (peers, ports) => Some((
            peers.unwrap_or_else(|| vec![Peers::Fixed([ANYONE].into())]),
            ports.unwrap_or_else(|| vec![Ports::ALL]),
        )),
    })
}
