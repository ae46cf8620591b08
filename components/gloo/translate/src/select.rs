//! Selectors: every part that is given must fit.

use gloo_api::{access_policy::ObjectChoice, pattern::fits};

use crate::world::{Labels, Slot};

/// Whether all of `wanted` is in `given`.
pub(crate) fn labelled(wanted: &Labels, given: &Labels) -> bool {
    wanted
        .iter()
        .all(|(label, value)| given.get(label) == Some(value))
}

/// An absent pattern fits everything.
pub(crate) fn named(pattern: Option<&String>, name: &str) -> bool {
    pattern.is_none_or(|pattern| fits(pattern, name))
}

/// Whether an object of a workspace's fits a choice.
pub(crate) fn chosen(
    choice: &ObjectChoice,
    workspace: &str,
    slot: &Slot,
    name: &str,
    labels: &Labels,
) -> bool {
    placed(choice, workspace, slot)
        && named(choice.name.as_ref(), name)
        && labelled(&choice.labels, labels)
}

/// The part of a choice that is about where an object is.
pub(crate) fn placed(choice: &ObjectChoice, workspace: &str, slot: &Slot) -> bool {
    named(choice.namespace.as_ref(), &slot.namespace)
        && named(choice.cluster.as_ref(), slot.cluster.as_str())
        && named(choice.workspace.as_ref(), workspace)
}
