//! NetworkPolicy of Kubernetes.

use std::collections::BTreeSet;

use cilium_api::policy::{Refusal, read::read_cidr};
use k8s_openapi::api::networking::v1::{
    IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};

use super::{Context, Host, identify, origin, ports, selectors};
use crate::{
    fault::Fault,
    input::PolicyKind,
    key::{ANYONE, Direction, Verdict},
    rule::{Addresses, Grant, Peers, Policy, Reach, Rule},
    selector::{LabelSelector, Scope},
};

pub(crate) fn network_policy(policy: &NetworkPolicy, host: Host) -> Policy {
    let (id, uid) = identify(PolicyKind::NetworkPolicy, &policy.metadata);
    let namespace = id.namespace.clone();
    let context = host.context(Some(&namespace));
    let nothing = NetworkPolicySpec::default();
    let spec = policy.spec.as_ref().unwrap_or(&nothing);
    let mut refusals = Vec::new();
    let isolates = directions(spec, &mut refusals);
    let mut subject = LabelSelector::namespace(&namespace);
    let mut followed = true;
    if let Some(selector) = &spec.pod_selector {
        match selectors::pod_labels("spec.podSelector", selector) {
            Ok(requirements) => subject.requirements = requirements,
            Err(refusal) => {
                followed = false;
                refusals.push(refusal);
            }
        }
    }
    let grants = grants(spec, context, &mut refusals)
        .into_iter()
        .filter(|grant| followed && isolates.contains(&grant.direction))
        .collect();
    Policy {
        rules: vec![Rule {
            subject,
            origin: origin(&id, &uid, Vec::new(), String::new()),
            isolates,
            grants,
        }],
        id,
        refusals,
    }
}

/// Ingress always unless the types say otherwise; egress if there are rules for it.
fn directions(spec: &NetworkPolicySpec, refusals: &mut Vec<Refusal>) -> BTreeSet<Direction> {
    let types = spec.policy_types.as_deref().unwrap_or_default();
    if types.is_empty() {
        let egress = spec.egress.as_ref().map(|_| Direction::Egress);
        return [Direction::Ingress].into_iter().chain(egress).collect();
    }
    let mut directions = BTreeSet::new();
    for (i, name) in types.iter().enumerate() {
        match name.as_str() {
            "Ingress" => directions.extend([Direction::Ingress]),
            "Egress" => directions.extend([Direction::Egress]),
            other => {
                refusals.push(Refusal::new(
                    format!("spec.policyTypes[{i}]"),
                    format!("{other:?} is no type; use Ingress and Egress"),
                ));
                directions.extend(Direction::BOTH);
            }
        }
    }
    directions
}

fn grants(
    spec: &NetworkPolicySpec,
    context: Context<'_>,
    refusals: &mut Vec<Refusal>,
) -> Vec<Grant> {
    let mut grants = Vec::new();
    let mut add = |path: String,
                   direction,
                   peers: Option<&[NetworkPolicyPeer]>,
                   ports: Option<&[NetworkPolicyPort]>| {
        let verb = match direction {
            Direction::Ingress => "from",
            Direction::Egress => "to",
        };
        let grant = self::peers(
            &format!("{path}.{verb}"),
            peers.unwrap_or_default(),
            context,
        )
        .and_then(|peers| {
            Ok(Grant {
                direction,
                verdict: Verdict::Allow,
                peers,
                ports: ports::of_network_policy(&path, ports.unwrap_or_default(), context)?,
            })
        });
        match grant {
            Ok(grant) => grants.push(grant),
            Err(refusal) => refusals.push(refusal),
        }
    };
    for (i, rule) in spec.ingress.iter().flatten().enumerate() {
        let path = format!("spec.ingress[{i}]");
        add(
            path,
            Direction::Ingress,
            rule.from.as_deref(),
            rule.ports.as_deref(),
        );
    }
    for (i, rule) in spec.egress.iter().flatten().enumerate() {
        let path = format!("spec.egress[{i}]");
        add(
            path,
            Direction::Egress,
            rule.to.as_deref(),
            rule.ports.as_deref(),
        );
    }
    grants
}

fn peers(
    path: &str,
    peers: &[NetworkPolicyPeer],
    context: Context<'_>,
) -> Result<Vec<Peers>, Refusal> {
    if peers.is_empty() {
        return Ok(vec![Peers::Fixed([ANYONE].into())]);
    }
    let mut all = Vec::new();
    for (i, peer) in peers.iter().enumerate() {
        all.extend(one(&format!("{path}[{i}]"), peer, context)?);
    }
    Ok(all)
}

fn one(path: &str, peer: &NetworkPolicyPeer, context: Context<'_>) -> Result<Vec<Peers>, Refusal> {
    let namespace = context.namespace.unwrap_or_default();
    let pods = |path: &str| match &peer.pod_selector {
        Some(selector) => selectors::pod_labels(&format!("{path}.podSelector"), selector),
        None => Ok(BTreeSet::new()),
    };
    let (scope, mut requirements) =
        match (&peer.ip_block, &peer.namespace_selector, &peer.pod_selector) {
            (Some(block), None, None) => {
                return ip_block(&format!("{path}.ipBlock"), block, context);
            }
            (None, Some(selector), _) => (
                Scope::Pods,
                selectors::namespace_labels(
                    &format!("{path}.namespaceSelector"),
                    selector,
                    context,
                )?,
            ),
            (None, None, Some(_)) => (Scope::Namespace(namespace.to_owned()), BTreeSet::new()),
            (None, None, None) => {
                return Err(Refusal::new(
                    path,
                    "names no peer; use podSelector, namespaceSelector or ipBlock",
                ));
            }
            (Some(_), _, _) => {
                return Err(Refusal::new(
                    path,
                    "has ipBlock beside a selector; write two peers",
                ));
            }
        };
    requirements.extend(pods(path)?);
    Ok(vec![Peers::Labels(LabelSelector {
        scope,
        requirements,
    })])
}

fn ip_block(path: &str, block: &IPBlock, context: Context<'_>) -> Result<Vec<Peers>, Refusal> {
    let network = read_cidr(&format!("{path}.cidr"), &block.cidr)?;
    let mut except = BTreeSet::new();
    for (i, text) in block.except.iter().flatten().enumerate() {
        except.extend(read_cidr(&format!("{path}.except[{i}]"), text)?);
    }
    if context.faults.has(Fault::ExceptForgotten) {
        except.clear();
    }
    let mut peers: Vec<Peers> = network
        .map(|network| {
            Peers::Addresses(Addresses::Network {
                network,
                except,
                reach: Reach::Everywhere,
            })
        })
        .into_iter()
        .collect();
    if context.faults.has(Fault::IpBlockAllowsNamespace) {
        peers.push(Peers::Labels(LabelSelector::namespace(
            context.namespace.unwrap_or_default(),
        )));
    }
    Ok(peers)
}
