//! Policies that the datapath has no room for, as a sentence. Pure.

use std::collections::{BTreeMap, BTreeSet};

use cilium_policy::{PolicyId, Refused};

use crate::endpoint::Endpoint;

/// Named in a sentence.
const NAMED: usize = 3;

/// `refused` has the maps that would not fit, by the number of the pods' policy. All who are to blame come first: an event is cut
/// where it gets long.
pub(crate) fn sentence(refused: &BTreeMap<u32, Refused>, pods: &[Endpoint]) -> Option<String> {
    let (number, first) = refused.first_key_value()?;
    let of_it = pods.iter().filter(|pod| pod.policy == *number);
    let owners: Vec<String> = of_it.map(Endpoint::owner).take(NAMED).collect();
    let owners = if owners.is_empty() {
        "pods that start".to_owned()
    } else {
        owners.join(", ")
    };
    let said = format!("the policy of {owners}: {first}");
    let blamed: BTreeSet<&PolicyId> = refused
        .values()
        .filter_map(|refused| refused.policy.as_ref())
        .collect();
    if blamed.len() < 2 {
        return Some(said);
    }
    let mut named: Vec<String> = blamed.iter().take(NAMED).map(ToString::to_string).collect();
    let others = blamed.len().saturating_sub(NAMED);
    if others > 0 {
        named.push(format!("{others} more"));
    }
    Some(format!(
        "{} policies have no room: {}; {said}",
        blamed.len(),
        named.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use cilium_policy::{PolicyKind, Table};
    use serde_json::json;

    use super::*;

    fn refused(name: &str) -> Refused {
        Refused {
            table: Table::Policy,
            entries: 20_000,
            max_entries: 16_384,
            policy: Some(PolicyId {
                kind: PolicyKind::NetworkPolicy,
                namespace: "shop".to_owned(),
                name: name.to_owned(),
            }),
        }
    }

    fn pod(name: &str, policy: u32) -> Endpoint {
        let endpoint = json!({
            "id": 7, "attachment": {"container-id": name, "ifname": "eth0"},
            "pod": {"namespace": "shop", "name": name, "uid": "u"},
            "ip": "10.244.1.7", "mac": "02:00:00:00:00:01", "host-mac": "02:00:00:00:00:02",
            "ifindex": 9, "interface": "lxc7", "identity": 300, "labels": [], "policy": policy, "state": "ready",
        });
        serde_json::from_value(endpoint).unwrap()
    }

    #[test]
    fn nothing_is_said_where_everything_has_room() {
        assert_eq!(sentence(&BTreeMap::new(), &[pod("web", 1)]), None);
    }

    #[test]
    fn one_policy_is_named_with_the_pods_that_keep_their_old_one_and_the_cure() {
        let pods = [pod("web", 1), pod("api", 2), pod("web-2", 1)];
        // The same policy is too large for pods of two kinds: that is one policy.
        let all = [(1, refused("wide")), (2, refused("wide"))].into();
        assert_eq!(
            sentence(&all, &pods).unwrap(),
            "the policy of shop/web, shop/web-2: 20000 entries do not fit into a policy map of 16384; the old ones stay; \
             most come from NetworkPolicy shop/wide: choose fewer peers or ports there"
        );
    }

    #[test]
    fn of_several_policies_three_are_named_and_the_rest_counted_before_anything_else() {
        let all: BTreeMap<u32, Refused> = (1..=5).map(|n| (n, refused(&format!("p{n}")))).collect();
        let said = sentence(&all, &[]).unwrap();
        let begins = "5 policies have no room: NetworkPolicy shop/p1, NetworkPolicy shop/p2, NetworkPolicy shop/p3, 2 more; \
                      the policy of pods that start: 20000 entries";
        assert!(said.starts_with(begins), "{said}");
    }
}
