//! CustomResourceDefinitions of every kind of this crate.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::{
    AccessPolicy, Dashboard, InsightsConfig, KubernetesCluster, Workspace, WorkspaceSettings,
};

/// Every definition, in the order of their names.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        AccessPolicy::crd(),
        Dashboard::crd(),
        InsightsConfig::crd(),
        KubernetesCluster::crd(),
        Workspace::crd(),
        WorkspaceSettings::crd(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn definitions() -> Vec<Value> {
        crds()
            .iter()
            .map(|crd| serde_json::to_value(crd).unwrap())
            .collect()
    }

    #[test]
    fn groups_versions_and_plurals_are_gloos() {
        let names: Vec<String> = definitions()
            .iter()
            .map(|crd| {
                let version = crd["spec"]["versions"][0]["name"].as_str().unwrap();
                format!("{} {version}", crd["metadata"]["name"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            names,
            [
                "accesspolicies.security.policy.gloo.solo.io v2",
                "dashboards.admin.gloo.solo.io v2",
                "insightsconfigs.admin.gloo.solo.io v2alpha1",
                "kubernetesclusters.admin.gloo.solo.io v2",
                "workspaces.admin.gloo.solo.io v2",
                "workspacesettings.admin.gloo.solo.io v2",
            ]
        );
    }

    #[test]
    fn each_has_a_status_of_its_own_with_gloos_state() {
        for crd in definitions() {
            let version = &crd["spec"]["versions"][0];
            assert!(version["subresources"]["status"].is_object(), "{crd}");
            let state = version
                .pointer("/schema/openAPIV3Schema/properties/status/properties/common/properties/State/properties");
            let state = state.unwrap_or_else(|| panic!("{}", crd["metadata"]["name"]));
            for field in ["approval", "message", "observedGeneration"] {
                assert!(state[field].is_object(), "{field} of {state}");
            }
        }
    }

    #[test]
    fn each_lives_in_a_namespace() {
        for crd in definitions() {
            assert_eq!(crd["spec"]["scope"], "Namespaced");
        }
    }

    /// The API server refuses a definition whose defaults its own schema would refuse, and warns of formats it does not know.
    #[test]
    fn no_default_is_too_short_and_no_format_is_unknown() {
        fn walk(at: &Value, found: &mut Vec<String>) {
            let too_short = at["default"].as_array().is_some_and(|default| {
                u64::try_from(default.len())
                    .is_ok_and(|length| Some(length) < at["minItems"].as_u64())
            });
            let unsigned = at["format"]
                .as_str()
                .is_some_and(|format| format.starts_with("uint"));
            if too_short || unsigned {
                found.push(at.to_string());
            }
            match at {
                Value::Object(fields) => {
                    for child in fields.values() {
                        walk(child, found);
                    }
                }
                Value::Array(items) => {
                    for child in items {
                        walk(child, found);
                    }
                }
                _ => {}
            }
        }
        let mut found = Vec::new();
        for crd in definitions() {
            walk(&crd, &mut found);
        }
        assert_eq!(found, Vec::<String>::new());
    }
}
