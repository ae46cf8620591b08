//! The floor: what the cluster's own administrator denies, no desired policy opens. Cilium sees to that, for a deny beats every
//! allow; what is left to do is to say so.

use serde_json::{Map, Value};

/// Names of policies whose denies may cut what `desired` allows: those of the same namespace that deny, for pods that can be the
/// same. Selectors are compared by their labels; an expression is taken to match.
pub fn denying<'a>(
    desired: &Value,
    local: impl Iterator<Item = (&'a str, &'a Value)>,
) -> Vec<String> {
    let rules = rules(desired);
    local
        .filter(|(_, policy)| {
            self::rules(policy)
                .filter(|rule| denies(rule))
                .any(|deny| rules.clone().any(|allow| meet(allow, deny)))
        })
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn rules(policy: &Value) -> impl Iterator<Item = &Value> + Clone {
    let many = policy["specs"].as_array().into_iter().flatten();
    policy.get("spec").into_iter().chain(many)
}

fn denies(rule: &Value) -> bool {
    ["ingressDeny", "egressDeny"]
        .iter()
        .any(|side| rule[side].as_array().is_some_and(|rules| !rules.is_empty()))
}

/// Whether a pod can be selected by both.
fn meet(one: &Value, other: &Value) -> bool {
    let none = Map::new();
    let labels = |rule: &'_ Value| {
        let labels = rule["endpointSelector"]["matchLabels"].as_object().cloned();
        labels.unwrap_or_else(|| none.clone())
    };
    let other = labels(other);
    labels(one)
        .iter()
        .all(|(label, value)| other.get(label).is_none_or(|theirs| theirs == value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(app: Option<&str>, denies: bool) -> Value {
        let selector = app.map_or(json!({}), |app| json!({"matchLabels": {"app": app}}));
        let mut policy = json!({"spec": {"endpointSelector": selector, "ingress": [{}]}});
        if denies {
            policy["spec"]["ingressDeny"] = json!([{"fromEntities": ["world"]}]);
        }
        policy
    }

    fn names(desired: &Value, local: &[(&str, Value)]) -> Vec<String> {
        denying(desired, local.iter().map(|(name, policy)| (*name, policy)))
    }

    #[test]
    fn denies_for_the_same_pods_are_named() {
        let local = [
            ("same", policy(Some("web"), true)),
            ("all", policy(None, true)),
            ("other", policy(Some("db"), true)),
            ("allows", policy(Some("web"), false)),
        ];
        assert_eq!(names(&policy(Some("web"), false), &local), ["same", "all"]);
    }
}
