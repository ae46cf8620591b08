use cilium_api::{CiliumIdentity, LabelSet};
use serde_json::json;

use super::*;
use crate::nodes::{self, tests::node};

fn cep(name: &str, second: u8, address: &str, identity: i64, node: &str) -> CiliumEndpoint {
    serde_json::from_value(json!({
        "metadata": {"namespace": "shop", "name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z")},
        "status": {
            "identity": {"id": identity},
            "networking": {"addressing": [{"ipv4": address}], "node": node},
        },
    }))
    .unwrap()
}

const OWN: &str = "172.30.0.11";
const PEER: &str = "172.30.0.12";

/// Two workers and a control plane that is the API server; `worker-1` is the own node.
fn table(endpoints: &[CiliumEndpoint], local: &[(Ipv4Addr, NumericIdentity)]) -> Table {
    table_with(endpoints, local, &Identities::default())
}

fn table_with(
    endpoints: &[CiliumEndpoint],
    local: &[(Ipv4Addr, NumericIdentity)],
    identities: &Identities,
) -> Table {
    let (nodes, _) = nodes::accept(
        [
            &node("control-plane", 1, "172.30.0.10", "10.244.0.0/24"),
            &node("worker-1", 2, OWN, "10.244.1.0/24"),
            &node("worker-2", 3, PEER, "10.244.2.0/24"),
        ],
        &[],
    );
    let endpoints: Vec<_> = endpoints.iter().collect();
    desired(&Sources {
        own_node: "worker-1",
        own_ip: OWN.parse().unwrap(),
        router: "10.244.1.1".parse().unwrap(),
        nodes: &nodes,
        local,
        endpoints: &endpoints,
        identities,
        api_servers: &["172.30.0.10".parse().unwrap()].into(),
    })
}

fn entry(table: &Table, prefix: &str) -> Option<(u32, Option<String>)> {
    let entry = table.get(&prefix.parse().unwrap())?;
    Some((entry.identity, entry.tunnel.map(|ip| ip.to_string())))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "compared with what entry() returns"
)]
fn through(identity: u32, node: &str) -> Option<(u32, Option<String>)> {
    Some((identity, Some(node.to_owned())))
}

#[test]
fn nodes_routers_and_ranges_have_ciliums_reserved_identities() {
    let table = table(&[], &[]);
    assert_eq!(entry(&table, "172.30.0.11/32"), Some((1, None)));
    assert_eq!(entry(&table, "10.244.1.1/32"), Some((1, None)));
    assert_eq!(entry(&table, "172.30.0.12/32"), Some((6, None)));
    assert_eq!(entry(&table, "172.30.0.10/32"), Some((7, None)));
    assert_eq!(entry(&table, "10.244.2.1/32"), through(6, PEER));
    assert_eq!(entry(&table, "10.244.2.0/24"), through(3, PEER));
    assert_eq!(entry(&table, "10.244.1.0/24"), None);
}

#[test]
fn a_pod_of_another_node_is_reached_through_its_node_with_its_identity() {
    let table = table(&[cep("web", 1, "10.244.2.7", 300, PEER)], &[]);
    assert_eq!(entry(&table, "10.244.2.7/32"), through(300, PEER));
}

#[test]
fn a_forged_endpoint_is_refused_by_the_agent_too() {
    let foreign_address = cep("a", 1, "10.244.0.7", 300, PEER);
    let own_address = cep("b", 1, "10.244.1.7", 300, PEER);
    let node_address = cep("c", 1, "172.30.0.10", 300, PEER);
    let unknown_node = cep("d", 1, "10.244.2.9", 300, "172.30.0.99");
    let table = table(
        &[foreign_address, own_address, node_address, unknown_node],
        &[],
    );
    assert_eq!(entry(&table, "10.244.0.7/32"), None);
    assert_eq!(entry(&table, "10.244.1.7/32"), None);
    assert_eq!(entry(&table, "172.30.0.10/32"), Some((7, None)));
    assert_eq!(entry(&table, "10.244.2.9/32"), None);
}

#[test]
fn a_claim_to_a_privileged_identity_counts_as_a_pod_without_labels() {
    for forged in [1, 2, 6, 7, 8, 0, -1, 1 << 24] {
        let table = table(&[cep("web", 1, "10.244.2.7", forged, PEER)], &[]);
        assert_eq!(entry(&table, "10.244.2.7/32"), through(5, PEER), "{forged}");
    }
}

/// `shop` has 300 and `payments` 301; 302 stands for no namespace.
fn identities() -> Identities {
    let of = |number: u32, label: &str, value: &str| {
        CiliumIdentity::new(
            NumericIdentity(number),
            LabelSet::from_iter([(label, value)]),
        )
    };
    let namespace = "k8s:io.kubernetes.pod.namespace";
    Identities::new(&[
        of(300, namespace, "shop"),
        of(301, namespace, "payments"),
        of(302, "k8s:app", "api"),
    ])
}

#[test]
fn a_claim_to_an_identity_of_another_namespace_counts_as_a_pod_without_labels() {
    for (number, believed) in [(300, 300), (301, 5), (302, 5)] {
        let claim = cep("web", 1, "10.244.2.7", number, PEER);
        let table = table_with(&[claim], &[], &identities());
        assert_eq!(
            entry(&table, "10.244.2.7/32"),
            through(believed, PEER),
            "{number}"
        );
    }
}

#[test]
fn an_identity_that_is_not_known_yet_is_believed_until_it_is() {
    let claim = [cep("web", 1, "10.244.2.7", 303, PEER)];
    let table = table_with(&claim, &[], &identities());
    assert_eq!(entry(&table, "10.244.2.7/32"), through(303, PEER));
}

#[test]
fn an_endpoint_cannot_take_the_router_address_of_its_node() {
    let table = table(&[cep("web", 1, "10.244.2.1", 300, PEER)], &[]);
    assert_eq!(entry(&table, "10.244.2.1/32"), through(6, PEER));
}

#[test]
fn of_two_claims_to_one_address_the_younger_counts_whatever_the_order() {
    let old = cep("old", 1, "10.244.2.7", 300, PEER);
    let new = cep("new", 2, "10.244.2.7", 301, PEER);
    for order in [[old.clone(), new.clone()], [new, old]] {
        assert_eq!(
            entry(&table(&order, &[]), "10.244.2.7/32"),
            through(301, PEER)
        );
    }
}

#[test]
fn the_own_pods_come_from_the_own_table_never_from_objects() {
    let lie = cep("web", 1, "10.244.1.7", 999, OWN);
    let table = table(
        &[lie],
        &[("10.244.1.7".parse().unwrap(), NumericIdentity(300))],
    );
    assert_eq!(entry(&table, "10.244.1.7/32"), Some((300, None)));
}
