//! Which workspace a namespace belongs to.

use gloo_api::{WorkspaceSpec, workspace::WorkloadCluster};

use crate::{
    select::{labelled, named},
    world::{Labels, Slot, World},
};

/// Who claims a namespace. Of several workspaces the oldest has it, so that a new one takes nothing away from anybody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub owner: Option<String>,
    /// Whether Gloo resources in it are the owner's configuration.
    pub config: bool,
    /// Others that select it, too.
    pub losers: Vec<String>,
}

impl Ownership {
    pub(crate) fn claimants(&self) -> impl Iterator<Item = &String> {
        self.owner.iter().chain(&self.losers)
    }
}

/// Judges `candidates`, names of workspaces, for a namespace.
pub(crate) fn ownership<'a>(
    world: &World,
    slot: &Slot,
    candidates: impl Iterator<Item = &'a String>,
) -> Ownership {
    let labels = world.namespaces.get(slot).and_then(|ns| ns.labels.as_ref());
    let (Some(labels), Some(cluster)) = (labels, world.clusters.get(&slot.cluster)) else {
        return Ownership::default();
    };
    let mut claims: Vec<(&str, &String, bool)> = candidates
        .filter_map(|name| {
            let workspace = world.workspace(name)?;
            let config = selects(&workspace.spec, slot, cluster, labels)?;
            Some((workspace.created.as_str(), name, config))
        })
        .collect();
    claims.sort_unstable();
    claims.dedup();
    let mut claims = claims.into_iter();
    let first = claims.next();
    Ownership {
        owner: first.map(|(_, name, _)| name.clone()),
        config: first.is_some_and(|(_, _, config)| config),
        losers: claims.map(|(_, name, _)| name.clone()).collect(),
    }
}

/// Whether a workspace selects a namespace; if so, whether it reads configuration there.
fn selects(spec: &WorkspaceSpec, slot: &Slot, cluster: &Labels, labels: &Labels) -> Option<bool> {
    let mut found = None;
    for part in &spec.workload_clusters {
        if !reaches(part, slot, cluster) {
            continue;
        }
        for choice in &part.namespaces {
            let nothing = choice.name.is_none() && choice.labels.is_empty();
            if !nothing
                && named(choice.name.as_ref(), &slot.namespace)
                && labelled(&choice.labels, labels)
            {
                let config = choice.config_enabled.or(part.config_enabled);
                found = Some(found.unwrap_or(false) | config.unwrap_or(true));
            }
        }
    }
    found
}

/// A part that names no cluster and no label selects none.
fn reaches(part: &WorkloadCluster, slot: &Slot, cluster: &Labels) -> bool {
    let nothing = part.name.is_none() && part.selector.is_empty();
    !nothing
        && named(part.name.as_ref(), slot.cluster.as_str())
        && labelled(&part.selector, cluster)
}
