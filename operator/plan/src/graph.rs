//! What comes before what.

use std::collections::{BTreeMap, BTreeSet};

use gloonet_catalog::ComponentId;

use crate::{Desired, Intent};

/// The needs of the components form a circle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the components {} need each other in a circle", names(.among))]
pub struct Circle {
    among: BTreeSet<ComponentId>,
}

fn names(among: &BTreeSet<ComponentId>) -> String {
    among
        .iter()
        .map(|id| id.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Every component after all it needs; ties in the catalog's own order.
pub fn order(desired: &Desired) -> Result<Vec<ComponentId>, Circle> {
    let mut left: BTreeMap<ComponentId, BTreeSet<ComponentId>> = desired
        .components
        .iter()
        .map(|one| {
            (
                one.id,
                one.needs
                    .iter()
                    .copied()
                    .filter(|need| desired.get(*need).is_some())
                    .collect(),
            )
        })
        .collect();
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let next = ComponentId::ALL
            .into_iter()
            .find(|id| left.get(id).is_some_and(BTreeSet::is_empty));
        let Some(next) = next else {
            return Err(Circle {
                among: left.into_keys().collect(),
            });
        };
        left.remove(&next);
        for needs in left.values_mut() {
            needs.remove(&next);
        }
        sorted.push(next);
    }
    Ok(sorted)
}

/// What a component still waits for: each need that is wanted and does not serve yet. An unwanted need counts as met.
pub fn waiting_for(desired: &Desired, id: ComponentId) -> Vec<ComponentId> {
    let Some(component) = desired.get(id) else {
        return Vec::new();
    };
    let unmet = |need: &&ComponentId| {
        desired
            .get(**need)
            .is_some_and(|other| other.intent != Intent::Unwanted && !other.health.serves)
    };
    component.needs.iter().filter(unmet).copied().collect()
}

/// Components that need `id`, directly.
pub fn needed_by(desired: &Desired, id: ComponentId) -> impl Iterator<Item = ComponentId> {
    desired
        .components
        .iter()
        .filter(move |one| one.needs.contains(&id))
        .map(|one| one.id)
}
