//! Labels and annotations of rendered objects.

pub(crate) use gloonet_api::{COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL};

/// Gloo's own selector label, and the one every pod of ours outside kube-system is selected by.
pub(crate) const APP: &str = "app";
/// What Cilium's tools find all of Cilium's pods by: the logs that cilium-cli judges are theirs.
pub(crate) const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "cilium");
/// Changes when a mounted configuration changes, so that the pods roll.
pub(crate) const CONFIG_DIGEST: &str = "gloonetwork.io/config-digest";
