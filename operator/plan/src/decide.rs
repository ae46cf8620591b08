//! Desired, live and inventory to steps.

use gloonet_catalog::{ComponentId, State};

use crate::{
    Desired, DesiredComponent, DesiredObject, Entry, Intent, Inventory, Live, ObjectKey, Reason,
    SecretCondition, Step,
    graph::{self, Circle},
    removal,
};

/// What is to be done now, and who waits for whom.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Steps that may run now, in order.
    pub steps: Vec<Step>,
    /// Components with steps that may not run yet, and what they wait for.
    pub waiting: Vec<(ComponentId, Vec<ComponentId>)>,
    /// Components whose change is held back because their last one is still on its way over the nodes.
    pub held: Vec<ComponentId>,
}

impl Plan {
    /// True when a component may not be changed yet.
    pub fn waits(&self, id: ComponentId) -> Option<&[ComponentId]> {
        self.waiting
            .iter()
            .find(|(waiting, _)| *waiting == id)
            .map(|(_, needs)| needs.as_slice())
    }
}

/// Decides what to do now.
///
/// Guarantees: steps come in graph order; nothing new or changed is applied while what it needs is not healthy; restoring
/// what was there already waits for nobody; nothing is deleted unless its component was rendered (or is unwanted), the
/// inventory names it, its UID is the one that was made, and the watches have read its kind in full; a second new template
/// is never written over an agent rollout that is still moving.
pub fn plan(desired: &Desired, live: &Live, inventory: &Inventory) -> Result<Plan, Circle> {
    let mut plan = Plan::default();
    if desired.components.is_empty() {
        return Ok(plan);
    }
    for id in graph::order(desired)? {
        if let Some(component) = desired
            .get(id)
            .filter(|component| component.intent == Intent::Wanted)
        {
            install(desired, component, live, inventory, &mut plan);
        }
    }
    plan.steps.extend(removal::prune(desired, live, inventory)?);
    Ok(plan)
}

fn install(
    desired: &Desired,
    component: &DesiredComponent,
    live: &Live,
    inventory: &Inventory,
    plan: &mut Plan,
) {
    let waiting_for = graph::waiting_for(desired, component.id);
    let moves = component.health.state == State::Progressing && !component.stuck;
    let held = component.id == ComponentId::CiliumAgent && moves;
    let may_change = waiting_for.is_empty();
    let mut waits = false;
    let mut holds = false;
    for secret in &component.secrets {
        let reason = secret_reason(secret.condition);
        if reason == Some(Reason::New) && !may_change {
            waits = true;
        } else if let Some(reason) = reason {
            plan.steps.push(Step::EnsureSecret {
                component: component.id,
                spec: secret.spec.clone(),
                reason,
            });
        }
    }
    for object in component.objects.iter().flatten() {
        let Some(reason) = object_reason(object, live, inventory) else {
            continue;
        };
        let restores = matches!(reason, Reason::Drift | Reason::Deleted);
        let rolls = held && reason == Reason::Changed && object.key.is_workload();
        if !restores && !may_change {
            waits = true;
        } else if rolls {
            holds = true;
        } else {
            plan.steps.push(Step::Apply {
                component: component.id,
                object: Box::new(object.clone()),
                reason,
            });
        }
    }
    if waits {
        plan.waiting.push((component.id, waiting_for));
    }
    if holds {
        plan.held.push(component.id);
    }
}

fn secret_reason(condition: SecretCondition) -> Option<Reason> {
    match condition {
        SecretCondition::Unread | SecretCondition::Complete => None,
        SecretCondition::Missing => Some(Reason::New),
        SecretCondition::Incomplete => Some(Reason::Incomplete),
        SecretCondition::Expiring => Some(Reason::Expiring),
    }
}

/// Why an object has to be applied; `None` when it is as it shall be, or cannot be judged because its kind was not read.
fn object_reason(object: &DesiredObject, live: &Live, inventory: &Inventory) -> Option<Reason> {
    let known = inventory_entry(inventory, &object.key);
    match (known, live.get(&object.key)) {
        (None, _) => Some(Reason::New),
        (Some(entry), _) if entry.desired != object.fingerprint => Some(Reason::Changed),
        (Some(_), None) if !live.knows(&object.key) => None,
        (Some(_), None) => Some(Reason::Deleted),
        (Some(_), Some(found)) if found.deleting => None,
        (Some(entry), Some(found)) if found.uid != entry.uid => Some(Reason::Deleted),
        (Some(entry), Some(found)) if found.fingerprint != entry.live => Some(Reason::Drift),
        (Some(_), Some(_)) => None,
    }
}

pub(crate) fn inventory_entry<'a>(inventory: &'a Inventory, key: &ObjectKey) -> Option<&'a Entry> {
    inventory.entries.get(key).or_else(|| {
        inventory
            .entries
            .iter()
            .find(|(other, _)| other.same_object(key))
            .map(|(_, entry)| entry)
    })
}
