//! Labels and annotations of rendered objects.

pub(crate) use gloonet_api::{COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL};

/// Gloo's own selector label, and the one every pod of ours outside kube-system is selected by.
pub(crate) const APP: &str = "app";
/// Changes when a mounted configuration changes, so that the pods roll.
pub(crate) const CONFIG_DIGEST: &str = "gloonetwork.io/config-digest";
