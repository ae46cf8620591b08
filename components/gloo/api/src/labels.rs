//! Labels that say who made a generated object and out of what.

use std::collections::BTreeMap;

use crate::{ClusterName, names};

/// Product of the agent that wrote the object.
pub const AGENT: &str = "agent.gloo.solo.io";
/// Cluster of the object, empty where it is the management server's own.
pub const CLUSTER: &str = "cluster.multicluster.solo.io";
pub const CONTEXT_CLUSTER: &str = "context.mesh.gloo.solo.io/cluster";
pub const CONTEXT_NAMESPACE: &str = "context.mesh.gloo.solo.io/namespace";
pub const CONTEXT_WORKSPACE: &str = "context.mesh.gloo.solo.io/workspace";
pub const PARENT_CLUSTER: &str = "gloo.solo.io/parent_cluster";
pub const PARENT_GROUP: &str = "gloo.solo.io/parent_group";
pub const PARENT_KIND: &str = "gloo.solo.io/parent_kind";
pub const PARENT_NAME: &str = "gloo.solo.io/parent_name";
pub const PARENT_NAMESPACE: &str = "gloo.solo.io/parent_namespace";
pub const PARENT_VERSION: &str = "gloo.solo.io/parent_version";
/// Owner; what the agent removes by.
pub const OWNER: &str = "owner.gloo.solo.io/name";
/// Which part of the server made it.
pub const RECONCILER: &str = "reconciler.mesh.gloo.solo.io/name";
/// Cluster whose agent wrote it.
pub const RELAY_CLUSTER: &str = "relay.solo.io/cluster";
/// Value of [`OWNER`] and [`AGENT`].
pub const GLOO_MESH: &str = "gloo-mesh";
/// Value of [`RECONCILER`] on policies.
pub const TRANSLATOR: &str = "translator";

/// The resource a generated object was made from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Parent<'a> {
    pub group: &'a str,
    pub version: &'a str,
    pub kind: &'a str,
    pub cluster: &'a ClusterName,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// All ownership labels of an object in `namespace` of `cluster`, made for `workspace`.
pub fn ownership(
    cluster: &ClusterName,
    namespace: &str,
    workspace: &str,
    parent: &Parent<'_>,
) -> BTreeMap<String, String> {
    [
        (AGENT, GLOO_MESH),
        (CLUSTER, cluster.as_str()),
        (CONTEXT_CLUSTER, cluster.as_str()),
        (CONTEXT_NAMESPACE, namespace),
        (CONTEXT_WORKSPACE, workspace),
        (PARENT_CLUSTER, parent.cluster.as_str()),
        (PARENT_GROUP, parent.group),
        (PARENT_KIND, parent.kind),
        (PARENT_NAME, parent.name),
        (PARENT_NAMESPACE, parent.namespace),
        (PARENT_VERSION, parent.version),
        (OWNER, GLOO_MESH),
        (RECONCILER, TRANSLATOR),
        (RELAY_CLUSTER, cluster.as_str()),
    ]
    .into_iter()
    .map(|(label, value)| (label.to_owned(), fitting(value)))
    .collect()
}

/// Whether an object with these labels is one the management plane made for this cluster.
pub fn is_owned(labels: &BTreeMap<String, String>, cluster: &ClusterName) -> bool {
    let is = |label: &str, value: &str| labels.get(label).is_some_and(|given| given == value);
    is(OWNER, GLOO_MESH) && is(RECONCILER, TRANSLATOR) && is(RELAY_CLUSTER, cluster.as_str())
}

/// Whether policies may be written in this namespace at all.
pub fn is_protected(namespace: &str) -> bool {
    names::PROTECTED_NAMESPACES.contains(&namespace)
}

/// Names may be longer than a label's value (63). A name is cut, not refused: the label is for people, nothing is found by it.
fn fitting(value: &str) -> String {
    const LONGEST: usize = 63;
    let cut: String = value.chars().take(LONGEST).collect();
    cut.trim_end_matches(['-', '.', '_']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(name: &str) -> BTreeMap<String, String> {
        let cluster: ClusterName = "west".parse().unwrap();
        let parent = Parent {
            group: "admin.gloo.solo.io",
            version: "v2",
            kind: "WorkspaceSettings",
            cluster: &cluster,
            namespace: "gloo-mesh",
            name,
        };
        ownership(&cluster, "shop", "shops", &parent)
    }

    #[test]
    fn what_we_made_for_a_cluster_is_known_by_its_labels() {
        let labels = labels("global");
        assert!(is_owned(&labels, &"west".parse().unwrap()));
        assert!(!is_owned(&labels, &"east".parse().unwrap()));
        assert!(!is_owned(&BTreeMap::new(), &"west".parse().unwrap()));
    }

    #[test]
    fn a_long_name_becomes_a_value_a_label_may_have() {
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(20));
        assert_eq!(labels(&long)[PARENT_NAME], "a".repeat(62));
    }
}
