//! Refuses a change that would take addresses away from nodes that hold them.

use std::collections::BTreeMap;

use gloonet_catalog::{Input, Refusal};
use ipnet::Ipv4Net;

/// The input, if every pod CIDR that a node holds still lies in the pool. `held` is CiliumNode name to pod CIDRs.
///
/// A pool that other programs manage (Cilium removed) is nobody's concern here.
pub fn check(input: Input, held: &BTreeMap<String, Vec<String>>) -> Result<Input, Vec<Refusal>> {
    if input.spec.cilium.state == gloonet_api::ManagementState::Removed {
        return Ok(input);
    }
    let lost = |range: &&String| {
        range
            .parse::<Ipv4Net>()
            .is_ok_and(|range| !input.pool.iter().any(|pool| pool.contains(&range)))
    };
    let refusals: Vec<Refusal> = held
        .iter()
        .filter_map(|(node, ranges)| Some((node, ranges.iter().find(lost)?)))
        .map(|(node, range)| Refusal {
            field: "cilium.ipam.clusterPoolIPv4CIDRs".to_owned(),
            message: format!("node {node} holds {range}, which lies in no range of the pool; put the range it came from back"),
        })
        .collect();
    if refusals.is_empty() {
        Ok(input)
    } else {
        Err(refusals)
    }
}

#[cfg(test)]
mod tests {
    use gloonet_api::GlooNetworkSpec;
    use gloonet_catalog::{ClusterFacts, validate};

    use super::*;

    fn input(pool: &str) -> Input {
        let facts = ClusterFacts {
            api_server: Some(("192.0.2.1".to_owned(), 6443)),
            ..ClusterFacts::default()
        };
        let mut spec = GlooNetworkSpec::named("west");
        spec.cilium.ipam.cluster_pool_ipv4_cidrs = vec![pool.to_owned()];
        validate(&spec, &facts).unwrap()
    }

    fn held() -> BTreeMap<String, Vec<String>> {
        [("worker-1".to_owned(), vec!["10.244.1.0/24".to_owned()])].into()
    }

    #[test]
    fn a_range_that_a_node_holds_cannot_leave_the_pool() {
        let refusals = check(input("10.99.0.0/16"), &held()).unwrap_err();
        assert!(
            refusals[0].message.contains("worker-1 holds 10.244.1.0/24"),
            "{refusals:?}"
        );
    }

    #[test]
    fn a_range_that_nobody_holds_may_come_and_go() {
        assert!(check(input("10.99.0.0/16"), &BTreeMap::new()).is_ok());
        assert!(check(input("10.244.0.0/16"), &held()).is_ok());
    }
}
