//! Rules about rights: none that open more than they name.

use super::Bundle;

/// Resources that are a way into every pod or node.
const WAYS_IN: [&str; 4] = [
    "nodes/proxy",
    "pods/attach",
    "pods/exec",
    "pods/portforward",
];
/// Verbs with which an account takes rights that it was not given.
const VERBS_THAT_GROW: [&str; 2] = ["escalate", "impersonate"];

/// No wildcard, no verb that lets an account raise itself, no binding of roles that are not named, no way into other pods.
pub(super) fn narrow(bundle: &Bundle) -> Vec<String> {
    let rules = bundle.rules();
    if rules.is_empty() {
        return vec!["the ClusterServiceVersion grants no rights".to_owned()];
    }
    let mut broken = Vec::new();
    for rule in rules {
        let place = format!("rule on {:?} {:?}", rule.groups, rule.resources);
        if [&rule.groups, &rule.resources, &rule.verbs]
            .iter()
            .any(|list| list.contains(&"*"))
        {
            broken.push(format!("{place} has a wildcard"));
        }
        for verb in rule
            .verbs
            .iter()
            .filter(|verb| VERBS_THAT_GROW.contains(verb))
        {
            broken.push(format!("{place} has the verb {verb}"));
        }
        if rule.verbs.contains(&"bind") && rule.names.is_empty() {
            broken.push(format!("{place} may bind any role; name the roles"));
        }
        for resource in rule
            .resources
            .iter()
            .filter(|resource| WAYS_IN.contains(resource))
        {
            broken.push(format!("{place} opens {resource}"));
        }
    }
    broken
}
