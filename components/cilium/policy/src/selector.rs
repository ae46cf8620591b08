//! Label selectors in the form they are asked in.

use std::collections::{BTreeMap, BTreeSet};

use cilium_api::{
    LabelSet,
    names::{K8S_SOURCE, POD_NAMESPACE_LABEL},
};

/// Chooses label sets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LabelSelector {
    pub(crate) scope: Scope,
    pub(crate) requirements: BTreeSet<Requirement>,
}

/// Which label sets a selector sees at all. Decided from the policy object, never from what its author wrote in a negative
/// requirement.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    /// Pods of one namespace.
    Namespace(String),
    /// Pods of every namespace.
    Pods,
    /// Pods and reserved identities.
    Everything,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Requirement {
    pub(crate) key: LabelKey,
    pub(crate) test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LabelKey {
    /// `source:key`.
    Exact(String),
    /// `key` of whatever source.
    AnySource(String),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Test {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
}

impl Test {
    /// Whether a label must be there for it.
    pub(crate) fn is_positive(&self) -> bool {
        matches!(self, Self::In(_) | Self::Exists)
    }
}

impl LabelKey {
    /// The key of a Cilium selector: `any:` and no source mean every source.
    pub(crate) fn parse(text: &str) -> Self {
        match text.split_once(':') {
            None => Self::of_any_source(text),
            Some(("any", key)) => Self::of_any_source(key),
            Some(_) => Self::Exact(text.to_owned()),
        }
    }

    fn of_any_source(key: &str) -> Self {
        // Only Kubernetes says which namespace a pod is in.
        if key == POD_NAMESPACE_LABEL {
            Self::k8s(key)
        } else {
            Self::AnySource(key.to_owned())
        }
    }

    pub(crate) fn k8s(key: &str) -> Self {
        Self::Exact(format!("{K8S_SOURCE}:{key}"))
    }

    pub(crate) fn is_namespace(&self) -> bool {
        matches!(self, Self::Exact(key) if key.strip_prefix("k8s:") == Some(POD_NAMESPACE_LABEL))
    }

    pub(crate) fn is_reserved(&self) -> bool {
        matches!(self, Self::Exact(key) if key.starts_with("reserved:"))
    }

    /// The key without its source.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Exact(key) => key.split_once(':').map_or(key, |(_, name)| name),
            Self::AnySource(key) => key,
        }
    }
}

impl LabelSelector {
    /// Every pod of a namespace.
    pub(crate) fn namespace(name: &str) -> Self {
        Self {
            scope: Scope::Namespace(name.to_owned()),
            requirements: BTreeSet::new(),
        }
    }

    pub(crate) fn matches(&self, labels: &LabelSet) -> bool {
        let in_scope = match &self.scope {
            Scope::Namespace(name) => labels.namespace() == Some(name),
            Scope::Pods => labels.namespace().is_some(),
            Scope::Everything => true,
        };
        in_scope && self.requirements.iter().all(|r| r.is_met(labels.as_map()))
    }

    /// As [`Self::matches`], for labels of objects, whose keys have no source.
    pub(crate) fn matches_object(&self, labels: &BTreeMap<String, String>) -> bool {
        self.requirements.iter().all(|r| {
            let value = labels.get(r.key.name()).map(String::as_str);
            r.test.is_met(value.into_iter())
        })
    }
}

impl Requirement {
    fn is_met(&self, labels: &BTreeMap<String, String>) -> bool {
        match &self.key {
            LabelKey::Exact(key) => self
                .test
                .is_met(labels.get(key).map(String::as_str).into_iter()),
            LabelKey::AnySource(name) => self.test.is_met(
                labels
                    .iter()
                    .filter(|(key, _)| key.split_once(':').is_some_and(|(_, n)| n == name))
                    .map(|(_, value)| value.as_str()),
            ),
        }
    }
}

impl Test {
    fn is_met<'a>(&self, mut values: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::In(set) => values.any(|v| set.contains(v)),
            Self::NotIn(set) => !values.any(|v| set.contains(v)),
            Self::Exists => values.next().is_some(),
            Self::DoesNotExist => values.next().is_none(),
        }
    }
}
