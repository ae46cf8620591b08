//! The rows of `status.components`.

use gloonet_api::status::{ComponentState, ComponentStatus};
use gloonet_catalog::ComponentId;

use super::Situation;
use crate::{
    DesiredComponent, Intent, graph,
    progress::{self, Look, Outcome},
};

/// One row per component that is wanted, paused, or not gone yet, in the order they are installed.
///
/// Without any accepted input nothing is known anew, and the stored rows stand.
pub(super) fn components(situation: &Situation<'_>) -> Vec<ComponentStatus> {
    if situation.desired.components.is_empty() {
        return situation.previous.components.clone();
    }
    let order = graph::order(situation.desired).unwrap_or_else(|_| ComponentId::ALL.to_vec());
    order
        .into_iter()
        .filter_map(|id| row(situation, id))
        .collect()
}

fn row(situation: &Situation<'_>, id: ComponentId) -> Option<ComponentStatus> {
    let component = situation.desired.get(id)?;
    let state = state(situation, component)?;
    let previous = situation
        .previous
        .components
        .iter()
        .find(|row| row.name == id.as_str());
    let nothing = Outcome::default();
    let look = Look {
        id,
        version: situation.versions.get(&id).map_or("", String::as_str),
        deadline: component.deadline,
        state,
        health: &component.health,
        broken: component.objects.as_ref().err().map(String::as_str),
        waiting_for: situation.plan.waits(id).unwrap_or_default(),
        outcome: situation.outcomes.get(&id).unwrap_or(&nothing),
    };
    Some(progress::advance(previous, look, situation.now))
}

fn state(situation: &Situation<'_>, component: &DesiredComponent) -> Option<ComponentState> {
    match component.intent {
        Intent::Paused => {
            let there = !component.keys().is_empty()
                || situation.inventory.of(component.id).next().is_some();
            there.then_some(ComponentState::Paused)
        }
        Intent::Wanted => {
            let external =
                component.objects.as_ref().is_ok_and(Vec::is_empty) && component.secrets.is_empty();
            Some(if external {
                ComponentState::External
            } else {
                ComponentState::Managed
            })
        }
        Intent::Unwanted => {
            let left = situation
                .inventory
                .of(component.id)
                .any(|(key, _)| !key.is_kept());
            left.then_some(ComponentState::Removing)
        }
    }
}
