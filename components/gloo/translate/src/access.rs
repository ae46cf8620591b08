//! Access policies: who reaches some services or workloads of a workspace.
//!
//! Entries add up; an entry that has a part we cannot follow lets in nobody, so that a resource written for a mesh never lets in
//! more than its author meant. Where a policy selects a port of a service, it stands instead of the workspace's isolation of
//! that port; it chooses among those the workspace would let in.

use std::collections::BTreeSet;

use gloo_api::{
    AccessPolicySpec,
    access_policy::{Authz, DestinationChoice, DestinationKind, PortChoice, WorkloadChoice},
    labels::is_protected,
};
use ipnet::IpNet;

use crate::{
    isolation::closable,
    overlap::Taken,
    rule::{Excluded, Origin, Peer, PolicyKey, Rule, access_name},
    select::{chosen, placed},
    verdict::Verdict,
    view::View,
    world::{Place, PodPort, Service, Slot},
};

/// What a policy comes to.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) rules: Vec<(PolicyKey, Rule)>,
    /// What it answers for.
    pub(crate) taken: BTreeSet<Taken>,
    pub(crate) slots: BTreeSet<Slot>,
    pub(crate) verdict: Verdict,
    /// Enforces nothing; its rules are what would be.
    pub(crate) trial: bool,
}

/// The entries of a policy that count.
struct Allowed<'a> {
    entries: Vec<&'a Authz>,
    blocks: BTreeSet<IpNet>,
}

pub(crate) fn plan(
    view: &View,
    workspace: &str,
    place: &Place,
    spec: &AccessPolicySpec,
    isolated: bool,
) -> Plan {
    let mut plan = Plan::default();
    let dry = spec
        .config
        .authz_list
        .iter()
        .filter(|entry| entry.dry_run)
        .count();
    plan.trial = dry > 0 && dry == spec.config.authz_list.len();
    say_unsupported(spec, &mut plan.verdict);
    if dry > 0 && !plan.trial {
        plan.verdict.warn(
            "entries with dryRun beside others let in nobody; set it for all of them or none",
        );
    }
    let allowed = entries(spec, plan.trial, &mut plan.verdict);
    if spec.apply_to_workloads.is_empty() {
        for choice in &spec.apply_to_destinations {
            destinations(view, workspace, place, choice, &allowed, &mut plan);
        }
    } else if isolated {
        plan.verdict.refuse(
            "applyToWorkloads is not followed while service isolation is on, which keeps the workloads closed; write applyToDestinations",
        );
        return plan;
    } else {
        for (at, choice) in spec.apply_to_workloads.iter().enumerate() {
            workloads(view, workspace, place, at, choice, &allowed, &mut plan);
        }
    }
    if plan.rules.is_empty() {
        plan.verdict.warn("it selects nothing of the workspace");
    }
    if !spec.config.enforcement_layers.cni {
        plan.rules.clear();
        plan.taken.clear();
        plan.verdict
            .warn("enforcementLayers.cni is false and there is no mesh: it is enforced nowhere");
    }
    if plan.trial {
        plan.taken.clear();
    }
    plan
}

fn say_unsupported(spec: &AccessPolicySpec, verdict: &mut Verdict) {
    if spec.config.authn.is_some() {
        verdict.warn(
            "spec.config.authn is not supported: who the other side is comes from the pod network",
        );
    }
    if spec.config.authz.is_some() {
        verdict.refuse("spec.config.authz is not supported and lets in nobody; write authzList");
    }
    for (at, destination) in spec.apply_to_destinations.iter().enumerate() {
        if destination.kind != DestinationKind::Service {
            verdict.refuse(format!(
                "spec.applyToDestinations[{at}].kind is not supported: only services are protected"
            ));
        }
    }
}

/// Entries that can be followed in full; the others are named.
fn entries<'a>(spec: &'a AccessPolicySpec, trial: bool, verdict: &mut Verdict) -> Allowed<'a> {
    let mut allowed = Allowed {
        entries: Vec::new(),
        blocks: BTreeSet::new(),
    };
    for (at, entry) in spec.config.authz_list.iter().enumerate() {
        if entry.dry_run && !trial {
            continue;
        }
        let unsupported = entry.unsupported(at);
        let here = format!("spec.config.authzList[{at}]");
        if !unsupported.is_empty() {
            verdict.refuse(format!(
                "{} not supported; the entry lets in nobody",
                unsupported.join(", ")
            ));
            continue;
        }
        match (entry.allowed_clients.is_empty(), entry.allowed_ip_blocks.is_empty()) {
            (true, true) => verdict.warn(format!("{here} names nobody and lets in nobody")),
            (false, false) => verdict.refuse(format!(
                "{here} wants pods and outside addresses at once, which nobody is; write two entries"
            )),
            (false, true) => allowed.entries.push(entry),
            (true, false) => blocks(entry, &here, &mut allowed.blocks, verdict),
        }
    }
    allowed
}

fn blocks(entry: &Authz, here: &str, blocks: &mut BTreeSet<IpNet>, verdict: &mut Verdict) {
    for (of, text) in entry.allowed_ip_blocks.iter().enumerate() {
        match text.parse::<IpNet>() {
            Ok(block) => {
                blocks.insert(block.trunc());
            }
            Err(_) => verdict.refuse(format!(
                "{here}.allowedIpBlocks[{of}] is no network, write one as 10.0.0.0/8; it lets in nobody"
            )),
        }
    }
}

/// Accounts of these workspaces that the entries let in.
fn peers(view: &View, audience: &[&str], allowed: &Allowed<'_>) -> BTreeSet<Peer> {
    let choices: Vec<_> = allowed
        .entries
        .iter()
        .flat_map(|entry| &entry.allowed_clients)
        .filter_map(|client| client.service_account_selector.as_ref())
        .collect();
    let mut peers = BTreeSet::new();
    for workspace in audience {
        for choice in &choices {
            peers.extend(view.accounts(workspace, Some(choice)));
        }
    }
    peers
}

fn destinations(
    view: &View,
    workspace: &str,
    policy: &Place,
    choice: &DestinationChoice,
    allowed: &Allowed<'_>,
    plan: &mut Plan,
) {
    if choice.kind != DestinationKind::Service {
        return;
    }
    for (slot, ns) in view.namespaces(workspace) {
        for (name, service) in &ns.services {
            if !chosen(&choice.selector, workspace, slot, name, &service.labels) {
                continue;
            }
            if !closable(slot, service) {
                plan.verdict.warn(format!(
                    "service {}/{name} in {} is not protected: its namespace is not ours to close, or it has no selector",
                    slot.namespace, slot.cluster
                ));
                continue;
            }
            let peers = peers(
                view,
                &view.audience(workspace, slot, name, service),
                allowed,
            );
            for (port, pods) in ports(service, choice.port.as_ref()) {
                let rule = Rule {
                    workspace: workspace.to_owned(),
                    origin: Origin::Access(policy.clone()),
                    selector: service.selector.clone(),
                    except: Excluded::new(),
                    ports: pods.clone(),
                    peers: peers.clone(),
                    blocks: allowed.blocks.clone(),
                };
                add(
                    plan,
                    slot,
                    access_name(policy, &format!("{name}-{port}")),
                    rule,
                );
                plan.taken.extend(pods.into_iter().map(|port| Taken {
                    slot: slot.clone(),
                    selector: service.selector.clone(),
                    port,
                }));
            }
        }
    }
}

/// Ports of a service that a choice means; all without one.
fn ports(service: &Service, choice: Option<&PortChoice>) -> Vec<(u16, BTreeSet<PodPort>)> {
    let meant = |number: u16| {
        let Some(choice) = choice else { return true };
        let named = |name: &String| {
            service
                .ports
                .iter()
                .any(|port| port.number == number && port.name.as_ref() == Some(name))
        };
        choice.number.is_none_or(|wanted| wanted == number)
            && choice.name.as_ref().is_none_or(named)
    };
    crate::isolation::ports(service)
        .into_iter()
        .filter(|(number, _)| meant(*number))
        .collect()
}

fn workloads(
    view: &View,
    workspace: &str,
    policy: &Place,
    at: usize,
    choice: &WorkloadChoice,
    allowed: &Allowed<'_>,
    plan: &mut Plan,
) {
    let peers = peers(view, &[workspace], allowed);
    for (slot, ns) in view.namespaces(workspace) {
        if is_protected(&slot.namespace) || !placed(&choice.selector, workspace, slot) {
            continue;
        }
        if let Some(pattern) = &choice.selector.name {
            let named = ns.workloads.iter().filter(|(name, _)| {
                let name = name.split_once('/').map_or(name.as_str(), |(_, name)| name);
                gloo_api::pattern::fits(pattern, name)
            });
            for (name, workload) in named {
                if crate::select::labelled(&choice.selector.labels, &workload.labels) {
                    let selector = workload.labels.clone();
                    let target = format!("{at}-{}", name.replace('/', "-").to_lowercase());
                    let rule = workload_rule(workspace, policy, selector, &peers, allowed);
                    add(plan, slot, access_name(policy, &target), rule);
                }
            }
            continue;
        }
        let selector = choice.selector.labels.clone();
        let rule = workload_rule(workspace, policy, selector, &peers, allowed);
        add(
            plan,
            slot,
            access_name(policy, &format!("{at}-workloads")),
            rule,
        );
    }
}

fn workload_rule(
    workspace: &str,
    policy: &Place,
    selector: crate::world::Labels,
    peers: &BTreeSet<Peer>,
    allowed: &Allowed<'_>,
) -> Rule {
    Rule {
        workspace: workspace.to_owned(),
        origin: Origin::Access(policy.clone()),
        selector,
        except: Excluded::new(),
        ports: BTreeSet::new(),
        peers: peers.clone(),
        blocks: allowed.blocks.clone(),
    }
}

/// Two choices of one policy can mean the same port of a service; that is one rule.
fn add(plan: &mut Plan, slot: &Slot, name: String, rule: Rule) {
    let slot = slot.clone();
    plan.slots.insert(slot.clone());
    let key = PolicyKey { slot, name };
    if !plan.rules.iter().any(|(known, _)| *known == key) {
        plan.rules.push((key, rule));
    }
}
