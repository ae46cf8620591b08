//! Who reaches what, straight from the sentences of the documentation, without a thought for speed.
//!
//! Written apart from the translation: it shares the data types with it, and the pattern of a name.

use gloo_api::{
    AccessPolicySpec, WorkspaceSettingsSpec, WorkspaceSpec, access_policy::ObjectChoice, labels,
    pattern::fits, workspace_settings::Share,
};

use crate::{
    Peer, PolicyKey, Rule,
    world::{Labels, Service, Slot, World, Written},
};

fn all(wanted: &Labels, given: &Labels) -> bool {
    wanted.iter().all(|(k, v)| given.get(k) == Some(v))
}

fn text(pattern: Option<&String>, name: &str) -> bool {
    match pattern {
        Some(pattern) => fits(pattern, name),
        None => true,
    }
}

/// `Some(config)` when the workspace selects the namespace.
fn selects(world: &World, spec: &WorkspaceSpec, slot: &Slot) -> Option<bool> {
    let cluster = world.clusters.get(&slot.cluster)?;
    let namespace = world.namespaces.get(slot)?.labels.as_ref()?;
    let mut answers = Vec::new();
    for part in &spec.workload_clusters {
        for choice in &part.namespaces {
            let named = part.name.is_some() || !part.selector.is_empty();
            let chosen = choice.name.is_some() || !choice.labels.is_empty();
            if named
                && chosen
                && text(part.name.as_ref(), slot.cluster.as_str())
                && all(&part.selector, cluster)
                && text(choice.name.as_ref(), &slot.namespace)
                && all(&choice.labels, namespace)
            {
                let config = choice.config_enabled.or(part.config_enabled);
                answers.push(config != Some(false));
            }
        }
    }
    if answers.is_empty() {
        None
    } else {
        Some(answers.contains(&true))
    }
}

/// The oldest workspace that selects the namespace, and whether it reads configuration there.
fn owner<'a>(world: &'a World, slot: &Slot) -> Option<(&'a str, bool)> {
    let workspaces = world.workspaces()?;
    workspaces
        .iter()
        .filter_map(|(name, workspace)| {
            let config = selects(world, &workspace.spec, slot)?;
            Some((&workspace.created, name.as_str(), config))
        })
        .min()
        .map(|(_, name, config)| (name, config))
}

fn settings<'a>(world: &'a World, workspace: &str) -> Option<&'a WorkspaceSettingsSpec> {
    if let Some(global) = world.global() {
        return Some(&global.spec);
    }
    let mut all: Vec<_> = world
        .namespaces
        .iter()
        .filter(|(slot, _)| owner(world, slot) == Some((workspace, true)))
        .flat_map(|(slot, ns)| {
            ns.settings
                .iter()
                .map(move |(name, written)| (&written.created, slot, name, &written.spec))
        })
        .collect();
    all.sort_by_key(|(created, slot, name, _)| (*created, *slot, *name));
    all.first().map(|(.., spec)| *spec)
}

fn says(world: &World, shares: &[Share], other: &str, at: (&Slot, &str, &Service)) -> bool {
    let Some(workspace) = world.workspace(other) else {
        return false;
    };
    shares.iter().any(|share| {
        let meant = share.workspaces.iter().any(|choice| {
            (choice.name.is_some() || !choice.selector.is_empty())
                && text(choice.name.as_ref(), other)
                && all(&choice.selector, &workspace.labels)
        });
        let held = share.resources.is_empty()
            || share.resources.iter().any(|resource| {
                resource.kind.holds_services()
                    && all(&resource.labels, &at.2.labels)
                    && text(resource.name.as_ref(), at.1)
                    && text(resource.namespace.as_ref(), &at.0.namespace)
                    && text(resource.cluster.as_ref(), at.0.cluster.as_str())
            });
        meant && held
    })
}

/// Whether the workspace of the service would let the account in.
fn may(world: &World, peer: &Peer, at: (&Slot, &str, &Service)) -> bool {
    let (Some((theirs, _)), Some((ours, _))) = (owner(world, &peer.slot), owner(world, at.0))
    else {
        return false;
    };
    if theirs == ours {
        return true;
    }
    let (Some(exporter), Some(importer)) = (settings(world, ours), settings(world, theirs)) else {
        return false;
    };
    says(world, &exporter.export_to, theirs, at) && says(world, &importer.import_from, ours, at)
}

fn chosen(choice: &ObjectChoice, slot: &Slot, name: &str, labels: &Labels) -> bool {
    all(&choice.labels, labels)
        && text(choice.name.as_ref(), name)
        && text(choice.namespace.as_ref(), &slot.namespace)
        && text(choice.cluster.as_ref(), slot.cluster.as_str())
}

fn lets_in(world: &World, policy: &AccessPolicySpec, peer: &Peer) -> bool {
    let account = &world.namespaces[&peer.slot].accounts[&peer.account];
    policy.config.authz_list.iter().any(|entry| {
        !entry.dry_run
            && entry.unsupported(0).is_empty()
            && entry.allowed_clients.iter().any(|client| {
                client
                    .service_account_selector
                    .as_ref()
                    .is_some_and(|choice| chosen(choice, &peer.slot, &peer.account, account))
            })
    })
}

/// Whether an account reaches the pods behind a service on its port. The account must be one of the world's.
pub fn reaches(world: &World, peer: &Peer, slot: &Slot, name: &str) -> bool {
    let service = &world.namespaces[slot].services[name];
    let Some((ours, _)) = owner(world, slot) else {
        return true;
    };
    if labels::is_protected(&slot.namespace) {
        return true;
    }
    let isolation = settings(world, ours).map(|settings| &settings.options.service_isolation);
    let isolated = isolation.is_some_and(|isolation| isolation.enabled && !isolation.dry_run);
    let same_workspace = owner(world, &peer.slot).map(|(name, _)| name) == Some(ours);
    let (mut by_destination, mut selected) = (false, isolated);
    let mut let_in = false;
    // The pods may be those of other services, too.
    let port = &service.ports[0].pod;
    let theirs: Vec<_> = world.namespaces[slot]
        .services
        .iter()
        .filter(|(_, other)| all(&other.selector, &service.selector))
        .map(|(name, other)| {
            let same = other.ports.iter().any(|one| one.pod == *port);
            ((slot, name.as_str(), other), same)
        })
        .collect();
    for written in policies(world, ours) {
        let policy = &written.spec;
        let entries = &policy.config.authz_list;
        if !entries.is_empty() && entries.iter().all(|entry| entry.dry_run) {
            continue;
        }
        for (at, same) in &theirs {
            let hit = policy
                .apply_to_destinations
                .iter()
                .any(|choice| chosen(&choice.selector, slot, at.1, &at.2.labels));
            if policy.apply_to_workloads.is_empty() && hit {
                (by_destination, selected) = (by_destination || *same, true);
                let_in |= *same && lets_in(world, policy, peer) && may(world, peer, *at);
            }
        }
        let workload = policy
            .apply_to_workloads
            .iter()
            .any(|choice| chosen(&choice.selector, slot, "", &service.selector));
        if workload && !isolated {
            selected = true;
            let_in |= lets_in(world, policy, peer) && same_workspace;
        }
    }
    if isolated && !by_destination {
        let_in |= theirs
            .iter()
            .any(|(at, same)| *same && may(world, peer, *at));
    }
    !selected || let_in
}

fn policies<'a>(world: &'a World, workspace: &str) -> Vec<&'a Written<AccessPolicySpec>> {
    world
        .namespaces
        .iter()
        .filter(|(slot, _)| owner(world, slot) == Some((workspace, true)))
        .flat_map(|(_, ns)| ns.policies.values())
        .collect()
}

/// What rules make of the same question: a pod that no rule selects is open.
pub fn enforced(rules: &[(PolicyKey, Rule)], service: &Service, peer: &Peer, slot: &Slot) -> bool {
    let selecting: Vec<&Rule> = rules
        .iter()
        .filter(|(key, rule)| key.slot == *slot && rule.selects(&service.selector))
        .map(|(_, rule)| rule)
        .collect();
    let port = &service.ports[0].pod;
    selecting.is_empty()
        || selecting.iter().any(|rule| {
            (rule.ports.is_empty() || rule.ports.contains(port)) && rule.peers.contains(peer)
        })
}

/// Every account, against every service.
pub fn questions(world: &World) -> Vec<(Peer, Slot, String)> {
    let peers = world.namespaces.iter().flat_map(|(slot, ns)| {
        ns.accounts.keys().map(move |account| Peer {
            slot: slot.clone(),
            account: account.clone(),
        })
    });
    peers
        .flat_map(|peer| {
            let services = world.namespaces.iter();
            services.flat_map(move |(slot, ns)| {
                let peer = peer.clone();
                ns.services
                    .keys()
                    .map(move |name| (peer.clone(), slot.clone(), name.clone()))
            })
        })
        .collect()
}
