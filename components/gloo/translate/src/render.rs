//! All that follows for one workspace, or for what lies in a namespace outside of any.

use std::collections::{BTreeMap, BTreeSet};

use gloo_api::{
    DashboardSpec, WorkspaceSettingsSpec, access_policy::AccessPolicyStatus,
    dashboard::DashboardStatus, labels::is_protected, workspace::WorkspaceStatus,
    workspace_settings::WorkspaceSettingsStatus,
};

use crate::{
    access::{self, Plan},
    dry_run::Trial,
    isolation,
    rule::{PolicyKey, Rule},
    settings,
    verdict::{Status, Subject, Verdict},
    view::View,
    world::{Place, Slot, Written},
};

/// The output that has one reason.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rendered {
    pub(crate) rules: BTreeMap<PolicyKey, Rule>,
    pub(crate) statuses: BTreeMap<Subject, Status>,
    pub(crate) trials: BTreeMap<Subject, Trial>,
}

pub(crate) fn workspace(view: &View, name: &str) -> Rendered {
    let mut out = Rendered::default();
    let Some(workspace) = view.world.workspace(name) else {
        return out;
    };
    let settings = view.settings(name);
    let isolation = settings.map(|(_, settings)| &settings.spec.options.service_isolation);
    let isolated = isolation.is_some_and(|isolation| {
        isolation.enabled && isolation.enforcement_layers.cni && !isolation.dry_run
    });
    let mut taken = BTreeSet::new();
    for (place, policy) in policies(view, name) {
        let plan = access::plan(view, name, &place, &policy.spec, isolated);
        let subject = Subject::Policy(place);
        let status = policy_status(&plan, policy.generation);
        out.statuses.insert(subject.clone(), status);
        taken.extend(plan.taken);
        let rules = plan.rules.into_iter();
        if plan.trial {
            let rules = rules.collect();
            out.trials.insert(subject, Trial { rules });
        } else {
            out.rules.extend(rules);
        }
    }
    if let (Some((place, _)), Some(isolation)) = (settings, isolation)
        && isolation.enabled
        && isolation.enforcement_layers.cni
    {
        let rules = isolation::rules(view, name, place, &taken);
        if isolation.dry_run {
            let subject = Subject::Settings(place.clone());
            let rules = rules.into_iter().collect();
            out.trials.insert(subject, Trial { rules });
        } else {
            out.rules.extend(rules);
        }
    }
    settings_statuses(view, name, &mut out);
    let place = Place {
        slot: view.world.admin(),
        name: name.to_owned(),
    };
    let status = workspace_status(view, name, workspace.generation);
    out.statuses.insert(Subject::Workspace(place), status);
    out
}

/// Access policies of a workspace, where its configuration is read.
fn policies<'a>(
    view: &'a View,
    name: &'a str,
) -> impl Iterator<Item = (Place, &'a Written<gloo_api::AccessPolicySpec>)> {
    view.namespaces(name)
        .filter(|(slot, _)| view.configures(slot))
        .flat_map(|(slot, ns)| {
            ns.policies.iter().map(move |(name, policy)| {
                let slot = slot.clone();
                let name = name.clone();
                (Place { slot, name }, policy)
            })
        })
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn policy_status(plan: &Plan, generation: i64) -> Status {
    let accounts: BTreeSet<_> = plan
        .rules
        .iter()
        .flat_map(|(_, rule)| &rule.peers)
        .collect();
    let mut verdict = plan.verdict.clone();
    let nobody = accounts.is_empty() && plan.rules.iter().all(|(_, rule)| rule.blocks.is_empty());
    if nobody && !plan.rules.is_empty() {
        verdict.warn("it lets in nobody");
    }
    let ports: BTreeSet<_> = plan
        .rules
        .iter()
        .filter(|(_, rule)| !rule.ports.is_empty())
        .map(|(key, _)| key)
        .collect();
    Status::Policy(AccessPolicyStatus {
        common: verdict.common(generation),
        num_selected_destination_ports: count(ports.len()),
        num_selected_namespaces: count(plan.slots.len()),
        num_allowed_service_accounts: count(accounts.len()),
        would_deny: Vec::new(),
    })
}

/// Of the workspace's own settings; the global ones are [`global`]'s.
fn settings_statuses(view: &View, name: &str, out: &mut Rendered) {
    let in_force = view.settings.get(name);
    for place in settings::own(view, name) {
        let Some(ns) = view.world.namespaces.get(&place.slot) else {
            continue;
        };
        let Some(written) = ns.settings.get(&place.name) else {
            continue;
        };
        let mut verdict = Verdict::default();
        if in_force == Some(&place) {
            judge(&written.spec, &mut verdict);
            lonely(view, name, &written.spec, &mut verdict);
        } else {
            let force = in_force.map_or("others", |place| place.name.as_str());
            verdict.refuse(format!(
                "not followed: workspace {name} has the settings {force} already"
            ));
        }
        let status = WorkspaceSettingsStatus {
            common: verdict.common(written.generation),
            would_deny: Vec::new(),
        };
        out.statuses
            .insert(Subject::Settings(place), Status::Settings(status));
    }
}

fn unsupported(paths: &[String], verdict: &mut Verdict) {
    if !paths.is_empty() {
        verdict.warn(format!("not supported: {}", paths.join(", ")));
    }
}

fn judge(spec: &WorkspaceSettingsSpec, verdict: &mut Verdict) {
    unsupported(&spec.unsupported(), verdict);
    let isolation = &spec.options.service_isolation;
    if isolation.enabled && !isolation.enforcement_layers.cni {
        verdict.warn(
            "service isolation without enforcementLayers.cni is enforced nowhere: there is no mesh",
        );
    }
}

/// An import nobody exports shares nothing, and the other way round.
fn lonely(view: &View, name: &str, spec: &WorkspaceSettingsSpec, verdict: &mut Verdict) {
    for (list, partners, other) in [
        (&spec.import_from, view.exporters(name), "exports to it"),
        (&spec.export_to, view.importers(name), "imports from it"),
    ] {
        if !list.is_empty() && partners.is_empty() {
            verdict.warn(format!(
                "no workspace named here {other}: nothing is shared until both sides say so"
            ));
        }
    }
}

fn workspace_status(view: &View, name: &str, generation: i64) -> Status {
    let slots = view.slots(name);
    let clusters: BTreeSet<_> = slots.iter().map(|slot| &slot.cluster).collect();
    let mut verdict = Verdict::default();
    if slots.is_empty() {
        verdict.warn("it selects no namespace of a registered cluster");
    }
    for slot in view.lost.get(name).into_iter().flatten() {
        let owner = view.owner(slot).unwrap_or("another");
        verdict.warn(format!(
            "namespace {} of {} stays with the older workspace {owner}",
            slot.namespace, slot.cluster
        ));
    }
    let overlapped: BTreeSet<_> = slots
        .iter()
        .filter_map(|slot| view.owners.get(slot))
        .flat_map(|owned| &owned.losers)
        .collect();
    for other in overlapped {
        verdict.warn(format!("workspace {other} selects namespaces of it, too"));
    }
    let protected = slots
        .iter()
        .filter(|slot| is_protected(&slot.namespace))
        .count();
    if protected > 0 {
        verdict.warn(format!(
            "{protected} namespaces of the platform are in it; no policy is made there"
        ));
    }
    Status::Workspace(WorkspaceStatus {
        common: verdict.common(generation),
        num_selected_clusters: count(clusters.len()),
        num_selected_namespaces: count(slots.len()),
        num_imported_services: count(imported(view, name)),
        num_exported_services: count(exported(view, name)),
    })
}

fn exported(view: &View, name: &str) -> usize {
    services(view, name, |slot, service, of| {
        view.audience(name, slot, service, of).len() > 1
    })
}

fn imported(view: &View, name: &str) -> usize {
    let from = |exporter: &String| {
        services(view, exporter, |slot, service, of| {
            view.shared(exporter, name, slot, service, of)
        })
    };
    view.exporters(name).iter().map(from).sum()
}

fn services(
    view: &View,
    workspace: &str,
    which: impl Fn(&Slot, &str, &crate::world::Service) -> bool,
) -> usize {
    view.namespaces(workspace)
        .flat_map(|(slot, ns)| ns.services.iter().map(move |service| (slot, service)))
        .filter(|(slot, (name, service))| which(slot, name, service))
        .count()
}

/// Resources in a namespace that no workspace reads, and those that are none's.
pub(crate) fn namespace(view: &View, slot: &Slot) -> Rendered {
    let mut out = Rendered::default();
    let Some(ns) = view.world.namespaces.get(slot) else {
        return out;
    };
    let place = |name: &String| Place {
        slot: slot.clone(),
        name: name.clone(),
    };
    if *slot != view.world.admin() {
        for (name, workspace) in &ns.workspaces {
            let status = WorkspaceStatus {
                common: refused(
                    "not followed: workspaces live in the namespace gloo-mesh of the management cluster",
                    workspace.generation,
                ),
                ..WorkspaceStatus::default()
            };
            out.statuses
                .insert(Subject::Workspace(place(name)), Status::Workspace(status));
        }
    }
    for (name, written) in &ns.dashboards {
        let status = dashboard_status(view, slot, written);
        out.statuses
            .insert(Subject::Dashboard(place(name)), Status::Dashboard(status));
    }
    if view.configures(slot) {
        return out;
    }
    let why = match view.owner(slot) {
        None => "not followed: the namespace belongs to no workspace".to_owned(),
        Some(owner) => format!(
            "not followed: workspace {owner} does not read configuration here (configEnabled)"
        ),
    };
    for (name, written) in &ns.settings {
        let place = place(name);
        if place == settings::global(view) {
            continue;
        }
        let status = WorkspaceSettingsStatus {
            common: refused(&why, written.generation),
            would_deny: Vec::new(),
        };
        out.statuses
            .insert(Subject::Settings(place), Status::Settings(status));
    }
    for (name, written) in &ns.policies {
        let status = AccessPolicyStatus {
            common: refused(&why, written.generation),
            ..AccessPolicyStatus::default()
        };
        out.statuses
            .insert(Subject::Policy(place(name)), Status::Policy(status));
    }
    out
}

fn dashboard_status(view: &View, slot: &Slot, written: &Written<DashboardSpec>) -> DashboardStatus {
    let mut verdict = Verdict::default();
    if *slot == view.world.admin() {
        verdict.warn("not followed: it is for the UI, which this release does not have");
    } else {
        verdict.refuse(
            "not followed: dashboards live in the namespace gloo-mesh of the management cluster",
        );
    }
    unsupported(&written.spec.unsupported(), &mut verdict);
    DashboardStatus {
        common: verdict.common(written.generation),
    }
}

fn refused(why: &str, generation: i64) -> gloo_api::state::Common {
    let mut verdict = Verdict::default();
    verdict.refuse(why);
    verdict.common(generation)
}

/// The settings that stand for everybody's.
pub(crate) fn global(view: &View) -> Rendered {
    let mut out = Rendered::default();
    if let Some(written) = view.world.global() {
        let mut verdict = Verdict::default();
        judge(&written.spec, &mut verdict);
        let status = WorkspaceSettingsStatus {
            common: verdict.common(written.generation),
            would_deny: Vec::new(),
        };
        let subject = Subject::Settings(settings::global(view));
        out.statuses.insert(subject, Status::Settings(status));
    }
    out
}
