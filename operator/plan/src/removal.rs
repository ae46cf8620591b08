//! What is deleted: leftovers of components that stay, components nobody wants, and at last everything.

use std::collections::BTreeSet;

use gloonet_catalog::ComponentId;
use jiff::{SignedDuration, Timestamp};

use crate::{
    Desired, Entry, Intent, Inventory, Live, ObjectKey, Reason, Step,
    graph::{self, Circle},
};

/// How long the removal of one component may take before the uninstall goes on without it.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(90);

/// Steps that delete what nobody wants any more.
///
/// An unwanted component goes only when every unwanted component that needs it is gone.
pub fn prune(desired: &Desired, live: &Live, inventory: &Inventory) -> Result<Vec<Step>, Circle> {
    let mut steps = Vec::new();
    let mut order = graph::order(desired)?;
    order.reverse();
    let mut present = BTreeSet::new();
    for id in order {
        let Some(component) = desired.get(id) else {
            continue;
        };
        let wanted: Vec<ObjectKey> = match (component.intent, &component.objects) {
            (Intent::Paused, _) | (Intent::Wanted, Err(_)) => continue,
            (Intent::Wanted, Ok(_)) => component.keys(),
            (Intent::Unwanted, _) => Vec::new(),
        };
        let unwanted: Vec<_> = inventory
            .of(id)
            .filter(|(key, _)| !wanted.iter().any(|other| other.same_object(key)))
            .collect();
        if unwanted.is_empty() {
            continue;
        }
        if component.intent == Intent::Unwanted
            && unwanted
                .iter()
                .any(|(key, entry)| is_there(key, entry, live))
        {
            present.insert(id);
            if graph::needed_by(desired, id).any(|other| present.contains(&other)) {
                continue;
            }
        }
        steps.extend(
            unwanted
                .into_iter()
                .filter_map(|(key, entry)| remove(key, entry, live)),
        );
    }
    Ok(steps)
}

/// Whether the object of this entry still stands and will have to be waited for.
fn is_there(key: &ObjectKey, entry: &Entry, live: &Live) -> bool {
    !key.is_kept()
        && (!live.knows(key) || live.get(key).is_some_and(|found| found.uid == entry.uid))
}

fn remove(key: &ObjectKey, entry: &Entry, live: &Live) -> Option<Step> {
    let forget = |reason| {
        Some(Step::Forget {
            key: key.clone(),
            reason,
        })
    };
    if key.is_kept() {
        return forget(Reason::Kept);
    }
    match live.get(key) {
        None if live.knows(key) => forget(Reason::Gone),
        None => None,
        Some(found) if found.uid != entry.uid => forget(Reason::NotOurs),
        Some(found) if found.deleting => None,
        Some(_) => Some(Step::Delete {
            component: entry.component.clone(),
            key: key.clone(),
            uid: entry.uid.clone(),
            reason: Reason::Unwanted,
        }),
    }
}

/// One look at an uninstall.
#[derive(Clone, Debug, Default)]
pub struct Uninstall {
    /// What to do now; ends with [`Step::Release`] when nothing is left to wait for.
    pub steps: Vec<Step>,
    /// Components whose objects are not gone yet, in the order they go.
    pub left: Vec<String>,
    /// The component being removed now.
    pub current: Option<String>,
    /// Components that were given up after [`PATIENCE`]. They keep their row, which is what they are known by.
    pub given_up: Vec<String>,
    /// Their objects.
    pub abandoned: Vec<ObjectKey>,
    /// Objects that stay because they may hold what is not ours.
    pub kept: Vec<ObjectKey>,
}

/// Plans the end: one component after the other, consumers first, the pod network last.
///
/// `started` tells when the removal of a component began, `None` when it has not. A component that is not gone after
/// [`PATIENCE`] is left to Kubernetes (its objects carry a deletion timestamp by then) and the next one begins, so an
/// uninstall ends even when an operand hangs.
pub fn uninstall(
    order: &[ComponentId],
    live: &Live,
    inventory: &Inventory,
    now: Timestamp,
    started: impl Fn(&str) -> Option<Timestamp>,
) -> Uninstall {
    let mut result = Uninstall {
        kept: inventory
            .entries
            .keys()
            .filter(|key| key.is_kept())
            .cloned()
            .collect(),
        ..Uninstall::default()
    };
    let known: Vec<&str> = order.iter().rev().map(|id| id.as_str()).collect();
    // Components that an older release knew and this one does not go first: nothing of this release needs them.
    let strangers: BTreeSet<&str> = inventory
        .entries
        .values()
        .map(|entry| entry.component.as_str())
        .filter(|name| !known.contains(name))
        .collect();
    for name in strangers.into_iter().chain(known) {
        let there: Vec<_> = inventory
            .entries
            .iter()
            .filter(|(key, entry)| entry.component == name && is_there(key, entry, live))
            .collect();
        if there.is_empty() {
            continue;
        }
        let overdue = started(name).is_some_and(|begin| now.duration_since(begin) >= PATIENCE);
        if overdue {
            result.given_up.push(name.to_owned());
            // None for what is going already. What could not be read, or deleted, in its time may be by now.
            let steps = there.iter();
            let steps = steps.filter_map(|(key, entry)| remove(key, entry, live));
            result.steps.extend(steps);
            result
                .abandoned
                .extend(there.into_iter().map(|(key, _)| key.clone()));
            continue;
        }
        if result.current.is_none() {
            result.current = Some(name.to_owned());
            result.steps.extend(
                there
                    .iter()
                    .filter_map(|(key, entry)| remove(key, entry, live)),
            );
        }
        result.left.push(name.to_owned());
    }
    if result.left.is_empty() {
        result.steps.push(Step::Release);
    }
    result
}
