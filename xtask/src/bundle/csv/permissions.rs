//! Rights in OLM's form.
//!
//! OLM binds rights either in the operator's own namespace or in all of them. The Roles that `install.yaml` gives the operator
//! in other namespaces therefore become cluster-wide under OLM; that is the price of this way in, and `docs/threat-model.md`
//! says so.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::bundle::source::{Source, name};

/// Rules of the ClusterRoles, and of Roles in namespaces that are not the operator's.
pub(super) fn cluster_wide(source: &Source) -> Result<Vec<Value>> {
    let mut rules = rules_of(source.of_kind("ClusterRole"));
    for rule in rules_of(source.of_kind("Role").filter(|role| !is_own(role))) {
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    granted(source, rules)
}

/// Rules of the Roles in the operator's namespace.
pub(super) fn own_namespace(source: &Source) -> Result<Vec<Value>> {
    granted(
        source,
        rules_of(source.of_kind("Role").filter(|role| is_own(role))),
    )
}

fn is_own(role: &Value) -> bool {
    role["metadata"]["namespace"] == gloonet_api::OPERATOR_NAMESPACE
}

fn rules_of<'a>(roles: impl Iterator<Item = &'a Value>) -> Vec<Value> {
    roles
        .filter_map(|role| role["rules"].as_array())
        .flatten()
        .cloned()
        .collect()
}

fn granted(source: &Source, rules: Vec<Value>) -> Result<Vec<Value>> {
    let accounts: Vec<&str> = source
        .of_kind("ServiceAccount")
        .map(name)
        .collect::<Result<_>>()?;
    ensure!(
        accounts.len() == 1,
        "the install objects have {} ServiceAccounts, not one",
        accounts.len()
    );
    Ok(vec![
        json!({"rules": rules, "serviceAccountName": accounts[0]}),
    ])
}
