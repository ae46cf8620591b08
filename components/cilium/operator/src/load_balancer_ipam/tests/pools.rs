use super::*;

/// Status, reason and message of the conflict of a pool.
fn conflict<'a>(plan: &'a Plan, name: &str) -> (&'a str, &'a str, &'a str) {
    let mut conditions = plan.pools[name].conditions.iter();
    let said = conditions
        .find(|c| c.type_ == "cilium.io/PoolConflict")
        .unwrap();
    (said.status, said.reason, &said.message)
}

fn number<'a>(plan: &'a Plan, name: &str, type_: &str) -> &'a str {
    let mut conditions = plan.pools[name].conditions.iter();
    &conditions.find(|c| c.type_ == type_).unwrap().message
}

fn without_ends(pool: Value) -> Value {
    with(pool, json!({"spec": {"allowFirstLastIPs": "No"}}))
}

#[test]
fn the_first_and_the_last_address_of_a_network_are_left_out_where_the_pool_says_so() {
    for (blocks, first, total) in [
        (["192.0.2.0/29"], "192.0.2.1", "6"),
        (["192.0.2.0/30"], "192.0.2.1", "2"),
        (["192.0.2.0/31"], "192.0.2.0", "2"),
        (["192.0.2.0/32"], "192.0.2.0", "1"),
        (["192.0.2.0-192.0.2.7"], "192.0.2.0", "8"),
    ] {
        let plan = Cluster::of(&[without_ends(pool("blue", &blocks))], &[service("web")]).plan();
        assert_eq!(addresses(&plan, "web"), [first], "{blocks:?}");
        assert_eq!(
            number(&plan, "blue", "cilium.io/IPsTotal"),
            total,
            "{blocks:?}"
        );
    }
}

#[test]
fn a_disabled_pool_gives_no_new_addresses_and_takes_none_away() {
    let shut = with(
        pool("blue", &["192.0.2.0/24"]),
        json!({"spec": {"disabled": true}}),
    );
    let services = [having(service("old"), &["192.0.2.7"]), service("new")];
    let plan = Cluster::of(&[shut], &services).plan();
    assert_eq!(addresses(&plan, "old"), ["192.0.2.7"]);
    assert!(addresses(&plan, "new").is_empty());
    let (_, reason, message) = condition(&plan, "new");
    assert_eq!(reason, "no_pool");
    assert!(message.contains("blue is disabled"), "{message}");
    assert_eq!(conflict(&plan, "blue").0, "False");
}

#[test]
fn of_two_pools_that_overlap_the_newer_gives_nothing_new_and_takes_nothing_away() {
    let pools = [
        made(pool("a-new", &["192.0.2.128-192.0.3.255"]), 2),
        made(pool("b-old", &["192.0.2.0/24"]), 1),
    ];
    let services = [
        having(service("held"), &["192.0.3.7"]),
        asking("new", "192.0.3.9"),
    ];
    let plan = Cluster::of(&pools, &services).plan();
    assert_eq!(addresses(&plan, "held"), ["192.0.3.7"]);
    assert!(addresses(&plan, "new").is_empty());
    assert_eq!(conflict(&plan, "b-old").0, "False");
    let (status, reason, message) = conflict(&plan, "a-new");
    assert_eq!((status, reason), ("True", "cidr_overlap"));
    assert_eq!(
        message,
        "block 192.0.2.128-192.0.3.255 of CiliumLoadBalancerIPPool a-new overlaps 192.0.2.0-192.0.2.255 of CiliumLoadBalancerIPPool b-old, which is older; change or delete one of the two"
    );
}

#[test]
fn a_pool_in_conflict_keeps_nobody_from_giving_what_it_cannot() {
    let pools = [
        made(pool("a", &["192.0.2.0/24"]), 1),
        made(pool("b", &["192.0.2.0-192.0.3.255"]), 2),
        made(pool("c", &["192.0.3.0/24"]), 3),
    ];
    let plan = Cluster::of(&pools, &[]).plan();
    let conflicting = ["a", "b", "c"].map(|name| plan.pools[name].conflicting);
    assert_eq!(conflicting, [false, true, false]);
}

#[test]
fn a_pool_on_addresses_of_the_cluster_gives_nothing_new_and_names_whose_they_are() {
    for (block, words) in [
        (
            "172.18.0.0/24",
            "overlaps 172.18.0.2, which is an address of Node worker-1; leave it out",
        ),
        (
            "10.244.0.0/16",
            "overlaps 10.244.1.0-10.244.1.255, which is the podCIDR of CiliumNode worker-1; leave it out",
        ),
    ] {
        let first = block.split_once('/').unwrap().0;
        let services = [having(service("held"), &[first]), service("new")];
        let plan = Cluster::of(&[pool("blue", &[block])], &services).plan();
        assert_eq!(addresses(&plan, "held"), [first]);
        assert!(addresses(&plan, "new").is_empty());
        let (status, reason, message) = conflict(&plan, "blue");
        assert_eq!((status, reason), ("True", "cluster_overlap"));
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_block_without_sense_is_named_and_nothing_new_is_given_or_taken_away() {
    for (block, words) in [
        (
            "192.0.2.9-192.0.2.1",
            "block 192.0.2.9-192.0.2.1 of CiliumLoadBalancerIPPool blue ends before it begins",
        ),
        ("192.0.2.1-house", "write start and stop as in"),
        ("192.0.2.300/24", "is no network"),
        ("192.0.2.1", "write an address and a prefix length"),
        ("0.0.0.0/0", "is every address there is"),
        ("192.0.2.1-2001:db8::1", "one IP version"),
    ] {
        let services = [having(service("held"), &["203.0.113.7"]), service("new")];
        let plan = Cluster::of(&[pool("blue", &[block, "198.51.100.0/24"])], &services).plan();
        assert_eq!(addresses(&plan, "held"), ["203.0.113.7"], "{block}");
        assert!(addresses(&plan, "new").is_empty(), "{block}");
        let (status, reason, message) = conflict(&plan, "blue");
        assert_eq!((status, reason), ("True", "invalid_block"), "{block}");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_block_that_is_written_both_ways_or_in_neither_is_named() {
    for block in [
        json!({}),
        json!({"cidr": "192.0.2.0/24", "start": "192.0.2.1"}),
        json!({"start": "192.0.2.1"}),
    ] {
        let pool = json!({"metadata": {"name": "blue"}, "spec": {"blocks": [block]}});
        let plan = Cluster::of(&[pool], &[]).plan();
        assert_eq!(conflict(&plan, "blue").1, "invalid_block");
    }
}

#[test]
fn a_selector_that_cannot_be_read_selects_nobody_and_takes_nothing_away() {
    let selector =
        json!({"matchExpressions": [{"key": "colour", "operator": "Is", "values": ["blue"]}]});
    let pool = with(
        pool("blue", &["192.0.2.0/24"]),
        json!({"spec": {"serviceSelector": selector}}),
    );
    let services = [having(service("held"), &["192.0.2.7"]), service("new")];
    let plan = Cluster::of(&[pool], &services).plan();
    assert_eq!(addresses(&plan, "held"), ["192.0.2.7"]);
    assert!(addresses(&plan, "new").is_empty());
    assert_eq!(conflict(&plan, "blue").1, "invalid_selector");
}

#[test]
fn blocks_of_ipv6_are_named_and_the_others_give() {
    let plan = Cluster::of(
        &[pool("blue", &["2001:db8::/64", "192.0.2.0/24"])],
        &[service("web")],
    )
    .plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.0"]);
    let (status, reason, message) = conflict(&plan, "blue");
    assert_eq!((status, reason), ("False", "ipv6_not_served"));
    assert!(message.contains("2001:db8::/64"), "{message}");
}

#[test]
fn every_address_of_a_pool_is_counted_once_and_so_is_every_one_that_is_used() {
    let services = [
        having(service("a"), &["192.0.2.0", "192.0.2.5"]),
        written(
            with(
                service("metal"),
                json!({"spec": {"loadBalancerClass": "metallb.io/metallb"}}),
            ),
            &["192.0.2.6"],
        ),
    ];
    let plan = Cluster::of(
        &[pool("blue", &["192.0.2.0/29", "192.0.2.4/30"])],
        &services,
    )
    .plan();
    let numbers = [
        "cilium.io/IPsTotal",
        "cilium.io/IPsAvailable",
        "cilium.io/IPsUsed",
    ]
    .map(|type_| number(&plan, "blue", type_));
    assert_eq!(numbers, ["8", "5", "3"]);
}
