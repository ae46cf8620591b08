//! A second opinion on a plan, written without looking at how plans are made. A plan it refuses is not run.

use std::collections::BTreeSet;

use crate::{Desired, Intent, Inventory, Live, ObjectKey, Reason, Step};

/// Why a plan must not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("the plan deletes {0}, which may hold what is not ours")]
    DeletesKept(ObjectKey),
    #[error("the plan deletes {0}, which the inventory does not name with that UID")]
    DeletesUnknown(ObjectKey),
    #[error("the plan deletes {0}, which is wanted")]
    DeletesWanted(ObjectKey),
    #[error("the plan touches {0} of a component that is paused")]
    TouchesPaused(ObjectKey),
    #[error("the plan changes {0} before what it needs is healthy")]
    TooEarly(ObjectKey),
    #[error("the plan handles {0} twice")]
    Twice(ObjectKey),
    #[error("the plan deletes objects although nothing at all is described")]
    DeletesFromNothing,
}

/// The first fault of the plan, if it has one.
pub fn lint(
    steps: &[Step],
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
) -> Result<(), Fault> {
    let mut handled = BTreeSet::new();
    for step in steps {
        let Some(key) = step.key() else {
            continue;
        };
        if !handled.insert(key.clone()) {
            return Err(Fault::Twice(key));
        }
        let owner = desired
            .components
            .iter()
            .find(|one| Some(one.id.as_str()) == step.component());
        if owner.is_some_and(|one| one.intent == Intent::Paused) {
            return Err(Fault::TouchesPaused(key));
        }
        match step {
            Step::Delete { uid, .. } => deletion(&key, uid, desired, live, inventory)?,
            Step::Apply {
                component, reason, ..
            } if !matches!(reason, Reason::Drift | Reason::Deleted) => {
                let needs = desired
                    .get(*component)
                    .map(|one| one.needs.clone())
                    .unwrap_or_default();
                let unmet = |one: &&crate::DesiredComponent| {
                    needs.contains(&one.id) && one.intent != Intent::Unwanted && !one.health.serves
                };
                if desired.components.iter().any(|one| unmet(&one)) {
                    return Err(Fault::TooEarly(key));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn deletion(
    key: &ObjectKey,
    uid: &str,
    desired: &Desired,
    live: &Live,
    inventory: &Inventory,
) -> Result<(), Fault> {
    if desired.components.is_empty() {
        return Err(Fault::DeletesFromNothing);
    }
    if key.is_kept() {
        return Err(Fault::DeletesKept(key.clone()));
    }
    let listed = inventory
        .entries
        .iter()
        .any(|(listed, entry)| listed == key && entry.uid == uid);
    if !listed || live.get(key).is_none_or(|found| found.uid != uid) {
        return Err(Fault::DeletesUnknown(key.clone()));
    }
    let wanted = desired
        .components
        .iter()
        .filter(|one| one.intent == Intent::Wanted);
    if wanted
        .flat_map(crate::DesiredComponent::keys)
        .any(|wanted| wanted.same_object(key))
    {
        return Err(Fault::DeletesWanted(key.clone()));
    }
    Ok(())
}
