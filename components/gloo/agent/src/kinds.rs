//! What is watched, and which fields of it leave the cluster.
//!
//! A field that is not in this table is not sent. Secrets are not watched at all.

use kube::core::{ApiResource, GroupVersionKind};

/// A kind under watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    /// One object alone: its namespace and name.
    pub only: Option<(&'static str, &'static str)>,
    /// Paths that are kept, beside the names; `a[].b` is `b` of every element.
    pub fields: &'static [&'static str],
}

/// A Gloo resource: all that a person writes in it.
const GLOO: &[&str] = &["metadata.generation", "spec"];

const WORKLOAD: &[&str] = &[
    "spec.replicas",
    "spec.selector",
    "spec.template.metadata.labels",
    "spec.template.spec.serviceAccountName",
    "spec.template.spec.containers[].name",
    "spec.template.spec.containers[].image",
    "spec.template.spec.containers[].ports",
    "status.replicas",
    "status.readyReplicas",
    "status.desiredNumberScheduled",
    "status.numberReady",
];

const fn gloo(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
) -> Watched {
    watched(group, version, kind, plural, GLOO)
}

const fn watched(
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    fields: &'static [&'static str],
) -> Watched {
    Watched {
        group,
        version,
        kind,
        plural,
        only: None,
        fields,
    }
}

/// The resources of the management plane; their `status` is all the server may write of them.
pub const GLOO_KINDS: [Watched; 6] = [
    gloo(
        "admin.gloo.solo.io",
        "v2",
        "KubernetesCluster",
        "kubernetesclusters",
    ),
    gloo("admin.gloo.solo.io", "v2", "Workspace", "workspaces"),
    gloo(
        "admin.gloo.solo.io",
        "v2",
        "WorkspaceSettings",
        "workspacesettings",
    ),
    gloo("admin.gloo.solo.io", "v2", "Dashboard", "dashboards"),
    gloo(
        "admin.gloo.solo.io",
        "v2alpha1",
        "InsightsConfig",
        "insightsconfigs",
    ),
    gloo(
        "security.policy.gloo.solo.io",
        "v2",
        "AccessPolicy",
        "accesspolicies",
    ),
];

/// The kind of everything else the server may write.
pub const POLICY: Watched = watched(
    "cilium.io",
    "v2",
    "CiliumNetworkPolicy",
    "ciliumnetworkpolicies",
    &["spec", "specs"],
);

const SERVICE: &[&str] = &["spec.selector", "spec.ports", "spec.type", "spec.clusterIP"];
const POD: &[&str] = &[
    "spec.serviceAccountName",
    "spec.nodeName",
    "spec.hostNetwork",
    "status.phase",
    "status.podIP",
];
const NODE: &[&str] = &[
    "spec.podCIDRs",
    "spec.unschedulable",
    "status.addresses",
    "status.nodeInfo.kernelVersion",
    "status.nodeInfo.kubeletVersion",
    "status.nodeInfo.osImage",
];
const ENDPOINTS: &[&str] = &[
    "addressType",
    "ports",
    "endpoints[].addresses",
    "endpoints[].conditions.ready",
    "endpoints[].targetRef.kind",
    "endpoints[].targetRef.name",
];
const ROLE: &[&str] = &["rules", "aggregationRule"];
const BINDING: &[&str] = &["roleRef", "subjects"];
const CILIUM_NODE: &[&str] = &["spec.addresses", "spec.ipam.podCIDRs", "spec.health"];
const RBAC: &str = "rbac.authorization.k8s.io";

const OTHER_KINDS: [Watched; 15] = [
    watched("", "v1", "Namespace", "namespaces", &[]),
    watched("", "v1", "Service", "services", SERVICE),
    watched("", "v1", "Pod", "pods", POD),
    watched("", "v1", "Node", "nodes", NODE),
    watched("", "v1", "ServiceAccount", "serviceaccounts", &[]),
    watched(
        "discovery.k8s.io",
        "v1",
        "EndpointSlice",
        "endpointslices",
        ENDPOINTS,
    ),
    watched("apps", "v1", "Deployment", "deployments", WORKLOAD),
    watched("apps", "v1", "DaemonSet", "daemonsets", WORKLOAD),
    watched("apps", "v1", "StatefulSet", "statefulsets", WORKLOAD),
    watched(RBAC, "v1", "Role", "roles", ROLE),
    watched(RBAC, "v1", "ClusterRole", "clusterroles", ROLE),
    watched(RBAC, "v1", "RoleBinding", "rolebindings", BINDING),
    watched(
        RBAC,
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        BINDING,
    ),
    watched("cilium.io", "v2", "CiliumNode", "ciliumnodes", CILIUM_NODE),
    Watched {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        plural: "configmaps",
        only: Some(("kube-system", "cilium-config")),
        fields: &["data"],
    },
];

/// Every kind under watch.
pub fn all() -> impl Iterator<Item = Watched> {
    GLOO_KINDS.into_iter().chain([POLICY]).chain(OTHER_KINDS)
}

impl Watched {
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub fn resource(&self) -> ApiResource {
        let kind = GroupVersionKind::gvk(self.group, self.version, self.kind);
        ApiResource::from_gvk_with_plural(&kind, self.plural)
    }

    /// Whether an object of this kind is what `key` names.
    pub fn names(&self, key: &gloo_relay::key::ObjectKey) -> bool {
        key.kind() == self.kind && key.api_version() == self.api_version()
    }
}
