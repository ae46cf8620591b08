//! What rules read of the snapshot that a cluster's agent sends to the management server.

use serde::Deserialize;

/// Of a snapshot, what some rule is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Bindings of ClusterRole `cluster-admin`.
    pub admins: Vec<Binding>,
    /// Service isolation of each WorkspaceSettings.
    pub isolation: Vec<Isolation>,
    /// AccessPolicies there are, `namespace/name`.
    pub access_policies: Vec<String>,
    /// Workspaces there are.
    pub workspaces: Vec<String>,
}

/// A ClusterRoleBinding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    pub name: String,
    pub subjects: Vec<Subject>,
}

/// Who is bound.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Subject {
    #[serde(default)]
    pub kind: String,
    #[serde(default)]
    pub namespace: String,
    #[serde(default)]
    pub name: String,
}

/// What a WorkspaceSettings says about isolation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Isolation {
    pub namespace: String,
    pub name: String,
    pub enabled: bool,
    pub dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterRoleBinding {
    role_ref: RoleRef,
    #[serde(default)]
    subjects: Vec<Subject>,
}

#[derive(Deserialize)]
struct RoleRef {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    spec: gloo_api::WorkspaceSettingsSpec,
}

impl Snapshot {
    /// Takes one object of the snapshot in. One that cannot be read is an error for its own sake and costs no other.
    pub fn add(
        &mut self,
        kind: &str,
        namespace: &str,
        name: &str,
        json: &[u8],
    ) -> Result<(), serde_json::Error> {
        match kind {
            "ClusterRoleBinding" => {
                let binding: ClusterRoleBinding = serde_json::from_slice(json)?;
                let role = &binding.role_ref;
                if role.kind == "ClusterRole" && role.name == "cluster-admin" {
                    self.admins.push(Binding {
                        name: name.to_owned(),
                        subjects: binding.subjects,
                    });
                }
            }
            "WorkspaceSettings" => {
                let settings: Settings = serde_json::from_slice(json)?;
                let isolation = &settings.spec.options.service_isolation;
                self.isolation.push(Isolation {
                    namespace: namespace.to_owned(),
                    name: name.to_owned(),
                    enabled: isolation.enabled,
                    dry_run: isolation.dry_run,
                });
            }
            "AccessPolicy" => self.access_policies.push(format!("{namespace}/{name}")),
            "Workspace" => self.workspaces.push(name.to_owned()),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_of_the_strongest_role_and_isolation_are_kept_and_a_broken_object_costs_no_other() {
        let mut snapshot = Snapshot::default();
        let binding = br#"{"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "namespace": "ci", "name": "runner"}]}"#;
        snapshot
            .add("ClusterRoleBinding", "", "ci", binding)
            .unwrap();
        assert!(snapshot.add("ClusterRoleBinding", "", "x", b"{").is_err());
        let settings = br#"{"spec": {"options": {"serviceIsolation": {"enabled": true}}}}"#;
        snapshot
            .add("WorkspaceSettings", "shop", "settings", settings)
            .unwrap();
        assert_eq!(snapshot.admins[0].subjects[0].name, "runner");
        assert!(snapshot.isolation[0].enabled && !snapshot.isolation[0].dry_run);
    }
}
