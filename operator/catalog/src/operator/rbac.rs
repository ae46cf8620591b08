//! The operator's rights, generated: what it writes of the kinds the catalog renders, what it reads to judge health, and the
//! rules it must itself hold to be allowed to grant the operands' roles (so that it needs no `escalate` and no `bind`).

use std::collections::{BTreeMap, BTreeSet};

use gloonet_api::GlooNetworkSpec;
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube_core::DynamicObject;
use serde_json::{Value, json};

use super::grants;
use crate::object::Builder;
use crate::{ClusterFacts, Input, RenderError, catalog, validate};

const GROUP: &str = "rbac.authorization.k8s.io/v1";

/// Rules of the operator's ServiceAccount, cluster-wide and by namespace. Each list is sorted and without duplicates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rbac {
    pub cluster: Vec<PolicyRule>,
    pub namespaced: BTreeMap<String, Vec<PolicyRule>>,
}

/// One right: group, resource, and the name it is limited to.
type Right = (String, String, Option<String>);

/// Rights by scope (`None` is cluster-wide).
#[derive(Debug, Default)]
pub(super) struct Rights(BTreeMap<Option<String>, BTreeMap<Right, BTreeSet<String>>>);

/// The minimal rights for everything this release can render.
pub fn rbac() -> Result<Rbac, RenderError> {
    let mut rights = Rights::default();
    grants::own(&mut rights);
    grants::own_in_namespaces(&mut rights);
    for spec in grants::shapes() {
        let input = accepted(&spec)?;
        for component in catalog()
            .into_iter()
            .filter(|component| component.enabled(&input))
        {
            let objects = component.objects(&input)?;
            grants::written(&mut rights, &objects);
            grants::granted(&mut rights, &objects);
            grants::secrets(&mut rights, &component.secrets(&input));
        }
    }
    Ok(rights.into_rbac())
}

fn accepted(spec: &GlooNetworkSpec) -> Result<Input, RenderError> {
    let facts = ClusterFacts {
        api_server: Some(("192.0.2.1".to_owned(), 6443)),
        has_default_storage_class: true,
        ..ClusterFacts::default()
    };
    validate(spec, &facts).map_err(|refusals| RenderError::Shape {
        refusals: refusals
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("; "),
    })
}

impl Rights {
    pub(super) fn allow(
        &mut self,
        namespace: Option<&str>,
        group: &str,
        resource: &str,
        name: Option<&str>,
        verbs: &[&str],
    ) {
        let right = (
            group.to_owned(),
            resource.to_owned(),
            name.map(str::to_owned),
        );
        let scope = self.0.entry(namespace.map(str::to_owned)).or_default();
        scope
            .entry(right)
            .or_default()
            .extend(verbs.iter().map(|verb| (*verb).to_owned()));
    }

    /// Merges what differs in one dimension only, so that a person can read the result.
    fn into_rbac(self) -> Rbac {
        let mut rbac = Rbac::default();
        let cluster_wide = self.0.get(&None).cloned().unwrap_or_default();
        for (scope, rights) in self.0 {
            let held = |right: &Right, verb: &String| {
                let any_name = (right.0.clone(), right.1.clone(), None);
                let by_all = right.2.is_some()
                    && rights
                        .get(&any_name)
                        .is_some_and(|verbs| verbs.contains(verb));
                let everywhere = scope.is_some()
                    && [right, &any_name].iter().any(|key| {
                        cluster_wide
                            .get(*key)
                            .is_some_and(|verbs| verbs.contains(verb))
                    });
                by_all || everywhere
            };
            let left: BTreeMap<Right, BTreeSet<String>> = rights
                .iter()
                .map(|(right, verbs)| {
                    (
                        right.clone(),
                        verbs
                            .iter()
                            .filter(|verb| !held(right, verb))
                            .cloned()
                            .collect(),
                    )
                })
                .filter(|(_, verbs): &(Right, BTreeSet<String>)| !verbs.is_empty())
                .collect();
            let rules = merge(left);
            match scope {
                None => rbac.cluster = rules,
                Some(_) if rules.is_empty() => {}
                Some(namespace) => drop(rbac.namespaced.insert(namespace, rules)),
            }
        }
        rbac
    }
}

fn merge(rights: BTreeMap<Right, BTreeSet<String>>) -> Vec<PolicyRule> {
    // Names of one resource with the same verbs first, then resources of one group with the same verbs and names.
    let mut by_resource: BTreeMap<(String, String, BTreeSet<String>, bool), BTreeSet<String>> =
        BTreeMap::new();
    for ((group, resource, name), verbs) in rights {
        let names = by_resource
            .entry((group, resource, verbs, name.is_some()))
            .or_default();
        names.extend(name);
    }
    let mut by_verbs: BTreeMap<(String, BTreeSet<String>, BTreeSet<String>), BTreeSet<String>> =
        BTreeMap::new();
    for ((group, resource, verbs, _), names) in by_resource {
        by_verbs
            .entry((group, names, verbs))
            .or_default()
            .insert(resource);
    }
    let list = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>();
    by_verbs
        .into_iter()
        .map(|((group, names, verbs), resources)| PolicyRule {
            api_groups: Some(vec![group]),
            resources: Some(list(resources)),
            resource_names: (!names.is_empty()).then(|| list(names)),
            verbs: list(verbs),
            non_resource_urls: None,
        })
        .collect()
}

impl Rbac {
    pub(super) fn objects(
        &self,
        builder: &Builder,
        name: &str,
    ) -> Result<Vec<DynamicObject>, RenderError> {
        let mut objects = vec![
            builder.cluster((GROUP, "ClusterRole"), name, json!({"rules": self.cluster}))?,
            builder.cluster(
                (GROUP, "ClusterRoleBinding"),
                name,
                binding("ClusterRole", name),
            )?,
        ];
        for (namespace, rules) in &self.namespaced {
            let metadata = || json!({"name": name, "namespace": namespace});
            objects.push(builder.object((GROUP, "Role"), metadata(), json!({"rules": rules}))?);
            objects.push(builder.object(
                (GROUP, "RoleBinding"),
                metadata(),
                binding("Role", name),
            )?);
        }
        Ok(objects)
    }
}

fn binding(kind: &str, name: &str) -> Value {
    json!({
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": gloonet_api::OPERATOR_NAMESPACE}],
    })
}
