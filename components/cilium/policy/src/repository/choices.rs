//! What policies choose peers by, in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Repository;
use crate::{
    input::PolicyId,
    rule::{Addresses, Peers},
    selector::{LabelKey, LabelSelector, Requirement, Scope, Test},
};

/// One choice of peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// How it is made, in words; equal choices have equal words.
    pub selector: String,
    /// Whom it chooses since the last commit, in order: identities, and blocks of addresses.
    pub identities: Vec<u32>,
    /// How many rules use it.
    pub users: usize,
    /// The policies they are of.
    pub policies: BTreeSet<PolicyId>,
}

impl Repository {
    /// Every choice of peers by label or address, in the order of its words.
    pub fn choices(&self) -> Vec<Choice> {
        let mut choices: BTreeMap<String, Choice> = BTreeMap::new();
        for (id, held) in &self.policies {
            let grants = held.policy.rules.iter().flat_map(|rule| &rule.grants);
            for peers in grants.flat_map(|grant| &grant.peers) {
                let Some(selector) = words(peers) else {
                    continue;
                };
                let choice = choices
                    .entry(selector)
                    .or_insert_with_key(|selector| Choice {
                        selector: selector.clone(),
                        identities: self.cache.chosen(peers).collect(),
                        users: 0,
                        policies: BTreeSet::new(),
                    });
                choice.users += 1;
                choice.policies.insert(id.clone());
            }
        }
        choices.into_values().collect()
    }
}

/// `None` for those that are the same in every cluster.
fn words(peers: &Peers) -> Option<String> {
    match peers {
        Peers::Fixed(_) => None,
        Peers::Labels(selector) => Some(selector.to_string()),
        Peers::Addresses(addresses) => Some(addresses.to_string()),
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match &self.scope {
            Scope::Namespace(name) => format!("pods of {name}"),
            Scope::Pods => "pods".to_owned(),
            Scope::Everything => "all".to_owned(),
        };
        write!(f, "{scope}: {}", Requirements(self))
    }
}

/// Only what is asked of labels.
struct Requirements<'a>(&'a LabelSelector);

impl fmt::Display for Requirements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.requirements.is_empty() {
            return f.write_str("any");
        }
        for (number, requirement) in self.0.requirements.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = match &self.key {
            LabelKey::Exact(key) => key.clone(),
            LabelKey::AnySource(key) => format!("any:{key}"),
        };
        let list = |values: &BTreeSet<String>| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            values.join(",")
        };
        match &self.test {
            Test::In(values) if values.len() == 1 => write!(f, "{key}={}", list(values)),
            Test::In(values) => write!(f, "{key} in ({})", list(values)),
            Test::NotIn(values) => write!(f, "{key} notin ({})", list(values)),
            Test::Exists => f.write_str(&key),
            Test::DoesNotExist => write!(f, "!{key}"),
        }
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network {
                network, except, ..
            } => write!(f, "cidr:{network}{}", exceptions(except)),
            Self::Group { name, except } => write!(f, "cidrgroup:{name}{}", exceptions(except)),
            Self::Groups { selector, except } => {
                write!(
                    f,
                    "cidrgroups: {}{}",
                    Requirements(selector),
                    exceptions(except)
                )
            }
            Self::Nodes(selector) => write!(f, "nodes: {}", Requirements(selector)),
            Self::Service(name) => write!(f, "service:{}/{}", name.namespace, name.name),
            Self::Services {
                selector,
                namespace,
            } => {
                let of = namespace.as_deref().map(|name| format!(" of {name}"));
                write!(
                    f,
                    "services{}: {}",
                    of.unwrap_or_default(),
                    Requirements(selector)
                )
            }
        }
    }
}

fn exceptions(except: &BTreeSet<ipnet::Ipv4Net>) -> String {
    if except.is_empty() {
        return String::new();
    }
    let list: Vec<String> = except.iter().map(ToString::to_string).collect();
    format!(" except {}", list.join(","))
}

#[cfg(test)]
mod tests {
    use cilium_api::{CiliumNetworkPolicy, LabelSet};
    use serde_json::json;

    use super::*;
    use crate::repository::Options;

    #[test]
    fn equal_choices_of_two_policies_are_one_with_two_users() {
        let mut repository = Repository::new(Options::default());
        let labels = [
            ("k8s:app", "web"),
            ("k8s:io.kubernetes.pod.namespace", "shop"),
        ];
        repository.upsert_identity(300, LabelSet::from_iter(labels));
        for name in ["a", "b"] {
            let policy: CiliumNetworkPolicy = serde_json::from_value(json!({
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"endpointSelector": {}, "ingress": [
                    {"fromEndpoints": [{"matchLabels": {"app": "web"}}]}, {"fromCIDR": ["192.0.2.0/24"]}]},
            }))
            .unwrap();
            repository.upsert_cilium_policy(&policy);
        }
        repository.commit();
        let choices = repository.choices();
        let words: Vec<&str> = choices.iter().map(|c| c.selector.as_str()).collect();
        assert_eq!(words, ["cidr:192.0.2.0/24", "pods of shop: any:app=web"]);
        assert_eq!(choices[1].identities, [300]);
        assert_eq!((choices[1].users, choices[1].policies.len()), (2, 2));
    }
}
