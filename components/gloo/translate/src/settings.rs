//! Which settings are in force for a workspace.

use gloo_api::names::GLOBAL_SETTINGS;

use crate::{view::View, world::Place};

/// The settings named `global` where they exist, else the oldest in the workspace's configured namespaces.
pub(crate) fn in_force(view: &View, workspace: &str) -> Option<Place> {
    if view.world.global().is_some() {
        return Some(global(view));
    }
    own(view, workspace).into_iter().next()
}

pub(crate) fn global(view: &View) -> Place {
    Place {
        slot: view.world.admin(),
        name: GLOBAL_SETTINGS.to_owned(),
    }
}

/// Settings in the workspace's configured namespaces, the oldest first.
pub(crate) fn own(view: &View, workspace: &str) -> Vec<Place> {
    let global = global(view);
    let mut found: Vec<(&str, Place)> = view
        .namespaces(workspace)
        .filter(|(slot, _)| view.configures(slot))
        .flat_map(|(slot, ns)| {
            ns.settings.iter().map(move |(name, settings)| {
                let slot = slot.clone();
                let name = name.clone();
                (settings.created.as_str(), Place { slot, name })
            })
        })
        .filter(|(_, place)| *place != global)
        .collect();
    found.sort_unstable();
    found.into_iter().map(|(_, place)| place).collect()
}
