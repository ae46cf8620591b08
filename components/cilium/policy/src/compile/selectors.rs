//! Selectors as written to selectors as asked.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::{
    identity_labels::{is_identity_relevant, is_reserved, is_said_by_cni},
    names::NAMESPACE_LABELS_PREFIX,
    policy::{
        Refusal,
        rule::{self, Selector},
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector as K8sSelector;

use super::Context;
use crate::{
    fault::Fault,
    selector::{LabelKey, LabelSelector, Requirement, Scope, Test},
};

/// The peers a Cilium selector chooses.
///
/// A selector leaves the namespace of its policy, or pods at all, only by a requirement that a label be there. What is
/// required to be absent is absent nearly everywhere (CVE-2023-41333).
pub(super) fn peers(
    path: &str,
    selector: &Selector,
    context: Context<'_>,
) -> Result<LabelSelector, Refusal> {
    let requirements = of_pods(path, selector)?;
    let frees = |wanted: fn(&LabelKey) -> bool| {
        let careless = context.faults.has(Fault::SelectorLeavesNamespace);
        requirements
            .iter()
            .any(|r| wanted(&r.key) && (careless || r.test.is_positive()))
    };
    let scope = match context.namespace {
        Some(name) if !frees(LabelKey::is_namespace) => Scope::Namespace(name.to_owned()),
        None if frees(LabelKey::is_reserved) => Scope::Everything,
        None if context.faults.has(Fault::NegativeMatchesReserved) => Scope::Everything,
        _ if context.faults.has(Fault::SelectorLeavesNamespace) => Scope::Everything,
        _ => Scope::Pods,
    };
    Ok(LabelSelector {
        scope,
        requirements,
    }
    .narrowed())
}

/// The pods a Cilium policy is for: of its namespace, whatever the selector says.
pub(super) fn subject(
    path: &str,
    selector: &Selector,
    context: Context<'_>,
) -> Result<LabelSelector, Refusal> {
    let requirements = of_pods(path, selector)?;
    let leaves = context.faults.has(Fault::SubjectLeavesNamespace)
        && requirements.iter().any(|r| !r.test.is_positive());
    let scope = match context.namespace {
        Some(name) if !leaves => Scope::Namespace(name.to_owned()),
        _ => Scope::Everything,
    };
    Ok(LabelSelector {
        scope,
        requirements,
    })
}

/// Objects other than pods, by their labels.
pub(super) fn objects(path: &str, selector: &Selector) -> Result<LabelSelector, Refusal> {
    Ok(LabelSelector {
        scope: Scope::Everything,
        requirements: cilium(path, selector)?,
    })
}

/// Pods by `podSelector`.
///
/// Besides the pods' own labels it may demand those the CNI adds, as policies written for Cilium do. That one of them be
/// absent, or something else, is refused: by Kubernetes' reading no pod has such a label and every pod would be chosen, by
/// Cilium's none.
pub(super) fn pod_labels(
    path: &str,
    selector: &K8sSelector,
) -> Result<BTreeSet<Requirement>, Refusal> {
    let requirements = kubernetes(path, selector, LabelKey::k8s)?;
    for Requirement { key, test } in &requirements {
        let name = key.name();
        if is_said_by_cni(name) {
            if !test.is_positive() {
                return Err(ambiguous(path, name));
            }
        } else if is_reserved(name) || !is_identity_relevant(name) {
            return Err(unanswerable(path, name));
        }
    }
    Ok(requirements)
}

/// Pods by the labels of their namespace.
pub(super) fn namespace_labels(
    path: &str,
    selector: &K8sSelector,
    context: Context<'_>,
) -> Result<BTreeSet<Requirement>, Refusal> {
    let key = |name: &str| {
        if context.faults.has(Fault::PodLabelsAreNamespaceLabels) {
            LabelKey::k8s(name)
        } else {
            LabelKey::k8s(&format!("{NAMESPACE_LABELS_PREFIX}.{name}"))
        }
    };
    kubernetes(path, selector, key)
}

fn of_pods(path: &str, selector: &Selector) -> Result<BTreeSet<Requirement>, Refusal> {
    let requirements = cilium(path, selector)?;
    match requirements
        .iter()
        .find(|r| !r.key.is_reserved() && !is_identity_relevant(r.key.name()))
    {
        Some(r) => Err(unanswerable(path, r.key.name())),
        None => Ok(requirements),
    }
}

fn unanswerable(path: &str, key: &str) -> Refusal {
    Refusal::new(
        path,
        format!(
            "label {key:?} is not part of identities, so nobody can be chosen by it; use another label"
        ),
    )
}

fn ambiguous(path: &str, key: &str) -> Refusal {
    Refusal::new(
        path,
        format!(
            "label {key:?} is added by the CNI, so a NetworkPolicy may only demand it; use In or Exists, or a CiliumNetworkPolicy"
        ),
    )
}

fn cilium(path: &str, selector: &Selector) -> Result<BTreeSet<Requirement>, Refusal> {
    let labels = selector.match_labels.iter().flatten();
    let mut requirements: BTreeSet<_> = labels
        .map(|(key, value)| equal(LabelKey::parse(key), value))
        .collect();
    let expressions = selector.match_expressions.iter().flatten();
    for (
        i,
        rule::Requirement {
            key,
            operator,
            values,
        },
    ) in expressions.enumerate()
    {
        let at = format!("{path}.matchExpressions[{i}]");
        let test = test(&at, operator, values.as_deref().unwrap_or_default())?;
        requirements.insert(Requirement {
            key: LabelKey::parse(key),
            test,
        });
    }
    named(path, requirements)
}

fn kubernetes(
    path: &str,
    selector: &K8sSelector,
    key: impl Fn(&str) -> LabelKey,
) -> Result<BTreeSet<Requirement>, Refusal> {
    let empty = BTreeMap::new();
    let labels = selector.match_labels.as_ref().unwrap_or(&empty);
    let mut requirements: BTreeSet<_> = labels.iter().map(|(k, v)| equal(key(k), v)).collect();
    for (i, e) in selector.match_expressions.iter().flatten().enumerate() {
        let at = format!("{path}.matchExpressions[{i}]");
        let test = test(&at, &e.operator, e.values.as_deref().unwrap_or_default())?;
        requirements.insert(Requirement {
            key: key(&e.key),
            test,
        });
    }
    named(path, requirements)
}

fn named(
    path: &str,
    requirements: BTreeSet<Requirement>,
) -> Result<BTreeSet<Requirement>, Refusal> {
    if requirements.iter().any(|r| r.key.name().is_empty()) {
        return Err(Refusal::new(
            path,
            "has a requirement without a key; name a label",
        ));
    }
    Ok(requirements)
}

fn equal(key: LabelKey, value: &str) -> Requirement {
    Requirement {
        key,
        test: Test::In([value.to_owned()].into()),
    }
}

fn test(path: &str, operator: &str, values: &[String]) -> Result<Test, Refusal> {
    let set = || values.iter().cloned().collect();
    match (operator, values.is_empty()) {
        ("In", false) => Ok(Test::In(set())),
        ("NotIn", false) => Ok(Test::NotIn(set())),
        ("Exists", true) => Ok(Test::Exists),
        ("DoesNotExist", true) => Ok(Test::DoesNotExist),
        ("In" | "NotIn", true) => Err(Refusal::new(
            path,
            format!("{operator} needs values; give at least one"),
        )),
        ("Exists" | "DoesNotExist", false) => Err(Refusal::new(
            path,
            format!("{operator} takes no values; remove them"),
        )),
        _ => Err(Refusal::new(
            path,
            format!("operator {operator:?} is not known; use In, NotIn, Exists or DoesNotExist"),
        )),
    }
}

impl LabelSelector {
    /// The same, with a namespace required by label as its scope: then only identities of that namespace are asked.
    fn narrowed(mut self) -> Self {
        if self.scope == Scope::Pods {
            let one = self.requirements.iter().find_map(|r| match &r.test {
                Test::In(names) if r.key.is_namespace() && names.len() == 1 => {
                    names.first().cloned()
                }
                _ => None,
            });
            if let Some(name) = one {
                self.scope = Scope::Namespace(name);
            }
        }
        self
    }
}
