//! One answer out of many nodes' answers. Pure.

use std::collections::BTreeSet;

use cilium_hubble::proto::observer::{GetNamespacesResponse, Namespace, ServerStatusResponse};

/// How many nodes that are away are named. The number of them is exact.
const NAMED: usize = 10;

/// The status of all nodes together. `None` for a node that is away.
pub fn status<'a>(
    version: &str,
    nodes: impl IntoIterator<Item = (&'a str, Option<ServerStatusResponse>)>,
) -> ServerStatusResponse {
    let mut sum = ServerStatusResponse {
        version: version.to_owned(),
        ..ServerStatusResponse::default()
    };
    let (mut connected, mut away) = (0u32, BTreeSet::new());
    for (name, status) in nodes {
        let Some(status) = status else {
            away.insert(name);
            continue;
        };
        connected += 1;
        sum.num_flows = sum.num_flows.saturating_add(status.num_flows);
        sum.max_flows = sum.max_flows.saturating_add(status.max_flows);
        sum.seen_flows = sum.seen_flows.saturating_add(status.seen_flows);
        // Of the node that is up for longest: a sum would mean nothing.
        sum.uptime_ns = sum.uptime_ns.max(status.uptime_ns);
        sum.flows_rate += status.flows_rate;
    }
    sum.num_connected_nodes = Some(connected);
    sum.num_unavailable_nodes = Some(u32::try_from(away.len()).unwrap_or(u32::MAX));
    sum.unavailable_nodes = away.into_iter().take(NAMED).map(str::to_owned).collect();
    sum
}

/// The namespaces of all nodes, each once, by cluster and name.
pub fn namespaces(nodes: impl IntoIterator<Item = GetNamespacesResponse>) -> GetNamespacesResponse {
    let all: BTreeSet<_> = nodes
        .into_iter()
        .flat_map(|node| node.namespaces)
        .map(|namespace| (namespace.cluster, namespace.namespace))
        .collect();
    let namespaces = all
        .into_iter()
        .map(|(cluster, namespace)| Namespace { cluster, namespace })
        .collect();
    GetNamespacesResponse { namespaces }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flows_are_summed_and_the_uptime_is_the_longest() {
        let node = |flows: u64, uptime_ns| {
            Some(ServerStatusResponse {
                num_flows: flows,
                max_flows: 4095,
                seen_flows: 10 * flows,
                uptime_ns,
                flows_rate: 0.5,
                ..ServerStatusResponse::default()
            })
        };
        let sum = status("v", [("a", node(1, 7)), ("b", None), ("c", node(2, 5))]);
        assert_eq!(
            sum,
            ServerStatusResponse {
                num_flows: 3,
                max_flows: 8190,
                seen_flows: 30,
                uptime_ns: 7,
                num_connected_nodes: Some(2),
                num_unavailable_nodes: Some(1),
                unavailable_nodes: vec!["b".to_owned()],
                version: "v".to_owned(),
                flows_rate: 1.0,
            }
        );
    }

    #[test]
    fn of_many_nodes_that_are_away_ten_are_named_and_all_are_counted() {
        let names: Vec<String> = (10..40).map(|node| format!("n{node}")).collect();
        let sum = status("v", names.iter().map(|name| (name.as_str(), None)));
        assert_eq!(sum.num_unavailable_nodes, Some(30));
        assert_eq!(sum.unavailable_nodes, names[..10]);
    }

    proptest! {
        #[test]
        fn every_node_is_either_connected_or_unavailable(
            nodes in proptest::collection::vec(any::<Option<(u64, u64)>>(), 0..30),
        ) {
            let names: Vec<String> = (0..nodes.len()).map(|node| format!("n{node}")).collect();
            let sum = status("v", names.iter().zip(&nodes).map(|(name, node)| {
                let status = node.map(|(num_flows, uptime_ns)| ServerStatusResponse {
                    num_flows, uptime_ns, ..ServerStatusResponse::default()
                });
                (name.as_str(), status)
            }));
            let (connected, away) = (sum.num_connected_nodes.unwrap(), sum.num_unavailable_nodes.unwrap());
            prop_assert_eq!(connected as usize + away as usize, nodes.len());
            let flows: u128 = nodes.iter().flatten().map(|node| u128::from(node.0)).sum();
            prop_assert_eq!(u128::from(sum.num_flows), flows.min(u128::from(u64::MAX)));
            prop_assert_eq!(sum.uptime_ns, nodes.iter().flatten().map(|node| node.1).max().unwrap_or(0));
        }

        #[test]
        fn namespaces_are_sorted_and_each_is_there_once(
            nodes in proptest::collection::vec(proptest::collection::vec((0u8..3, 0u8..5), 0..8), 0..5),
        ) {
            let answers = nodes.iter().map(|node| GetNamespacesResponse {
                namespaces: node.iter().map(|(cluster, namespace)| Namespace {
                    cluster: cluster.to_string(), namespace: namespace.to_string(),
                }).collect(),
            });
            let merged: Vec<(String, String)> = namespaces(answers).namespaces.into_iter()
                .map(|seen| (seen.cluster, seen.namespace)).collect();
            let mut expected: Vec<(String, String)> = nodes.iter().flatten()
                .map(|(cluster, namespace)| (cluster.to_string(), namespace.to_string())).collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(merged, expected);
        }
    }
}
