//! What workspaces share: only what one exports and the other imports.

use gloo_api::workspace_settings::{ResourceChoice, Share, WorkspaceChoice};

use crate::{
    select::{labelled, named},
    world::{Labels, Service, Slot},
};

/// The other side of a share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Other<'a> {
    pub(crate) name: &'a str,
    pub(crate) labels: &'a Labels,
}

/// Whether any of the shares is with this workspace.
pub(crate) fn with(shares: &[Share], other: Other<'_>) -> bool {
    shares.iter().any(|share| meant(share, other))
}

/// Whether the shares with this workspace hold a service.
pub(crate) fn holds(
    shares: &[Share],
    other: Other<'_>,
    slot: &Slot,
    name: &str,
    service: &Service,
) -> bool {
    shares.iter().any(|share| {
        meant(share, other)
            && (share.resources.is_empty()
                || share
                    .resources
                    .iter()
                    .any(|choice| resource(choice, slot, name, service)))
    })
}

fn meant(share: &Share, other: Other<'_>) -> bool {
    share.workspaces.iter().any(|choice| fits(choice, other))
}

/// A choice without name and labels is nobody.
fn fits(choice: &WorkspaceChoice, other: Other<'_>) -> bool {
    let nothing = choice.name.is_none() && choice.selector.is_empty();
    !nothing && named(choice.name.as_ref(), other.name) && labelled(&choice.selector, other.labels)
}

fn resource(choice: &ResourceChoice, slot: &Slot, name: &str, service: &Service) -> bool {
    choice.kind.holds_services()
        && named(choice.name.as_ref(), name)
        && named(choice.namespace.as_ref(), &slot.namespace)
        && named(choice.cluster.as_ref(), slot.cluster.as_str())
        && labelled(&choice.labels, &service.labels)
}

/// Names of other workspaces a list of shares can be with; `None` when only looking at each tells.
pub(crate) fn names(shares: &[Share]) -> Option<Vec<&String>> {
    shares
        .iter()
        .flat_map(|share| &share.workspaces)
        .map(|choice| choice.name.as_ref().filter(|name| !name.contains('*')))
        .collect()
}
