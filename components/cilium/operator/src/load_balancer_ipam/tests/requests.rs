use super::*;

fn blue() -> [Value; 1] {
    [pool("blue", &["192.0.2.0/24"])]
}

#[test]
fn each_way_to_ask_is_heard() {
    let ways = [
        asking("web", "192.0.2.7, 192.0.2.9"),
        annotated(
            service("web"),
            "io.cilium/lb-ipam-ips",
            "192.0.2.7,192.0.2.9",
        ),
        with(
            asking("web", "192.0.2.7"),
            json!({"spec": {"loadBalancerIP": "192.0.2.9"}}),
        ),
    ];
    for way in ways {
        let plan = Cluster::of(&blue(), &[way]).plan();
        assert_eq!(addresses(&plan, "web"), ["192.0.2.7", "192.0.2.9"]);
        assert_eq!(condition(&plan, "web").0, "True");
    }
}

#[test]
fn who_asks_for_an_address_gets_it_before_an_older_service_gets_just_any() {
    let services = [
        made(service("old"), 1),
        made(asking("young", "192.0.2.0"), 2),
    ];
    let plan = Cluster::of(&blue(), &services).plan();
    assert_eq!(addresses(&plan, "young"), ["192.0.2.0"]);
    assert_eq!(addresses(&plan, "old"), ["192.0.2.1"]);
}

#[test]
fn an_address_that_somebody_has_is_not_given_and_the_holder_is_named() {
    let services = [
        made(having(service("holder"), &["192.0.2.7"]), 2),
        made(asking("web", "192.0.2.7"), 1),
    ];
    let plan = Cluster::of(&blue(), &services).plan();
    assert_eq!(addresses(&plan, "holder"), ["192.0.2.7"]);
    assert!(addresses(&plan, "web").is_empty());
    let (status, reason, message) = condition(&plan, "web");
    assert_eq!((status, reason), ("False", "already_allocated"));
    assert!(message.contains("held by Service shop/holder"), "{message}");
}

#[test]
fn a_request_that_cannot_be_met_says_why() {
    let red = json!({"spec": {"serviceSelector": {"matchLabels": {"colour": "red"}}}});
    let pools = [
        pool("blue", &["192.0.2.0/24"]),
        with(pool("red", &["198.51.100.0/24"]), red),
        with(
            pool("shut", &["203.0.113.0/24"]),
            json!({"spec": {"disabled": true}}),
        ),
    ];
    for (asked, reason, words) in [
        ("10.9.9.9", "no_pool", "in no CiliumLoadBalancerIPPool"),
        (
            "198.51.100.1",
            "pool_selector_mismatch",
            "CiliumLoadBalancerIPPool red",
        ),
        (
            "203.0.113.1",
            "no_pool",
            "CiliumLoadBalancerIPPool shut, which is disabled",
        ),
        (
            "house",
            "invalid_request",
            "annotation lbipam.cilium.io/ips of Service shop/web asks for \"house\"",
        ),
    ] {
        let plan = Cluster::of(&pools, &[asking("web", asked)]).plan();
        let (status, said, message) = condition(&plan, "web");
        assert_eq!((status, said), ("False", reason), "{message}");
        assert!(message.contains(words), "{message}");
        assert!(addresses(&plan, "web").is_empty());
    }
}

#[test]
fn what_can_be_given_of_several_requests_is_and_the_rest_is_said() {
    let plan = Cluster::of(&blue(), &[asking("web", "192.0.2.7,10.9.9.9")]).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.7"]);
    let (status, reason, message) = condition(&plan, "web");
    assert_eq!((status, reason), ("False", "partly_satisfied"));
    assert!(message.contains("10.9.9.9"), "{message}");
}

#[test]
fn an_address_of_a_service_that_has_part_of_its_requests_goes_with_its_pool() {
    let had = written(asking("web", "198.51.100.7,10.9.9.9"), &["198.51.100.7"]);
    let plan = Cluster::of(&blue(), &[told(had, "False", "partly_satisfied")]).plan();
    assert!(addresses(&plan, "web").is_empty());
}

#[test]
fn an_address_that_is_not_asked_for_any_more_is_given_up() {
    let services = [having(asking("web", "192.0.2.9"), &["192.0.2.7"])];
    let plan = Cluster::of(&blue(), &services).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.9"]);
}

#[test]
fn a_typing_error_in_a_request_costs_nobody_an_address() {
    let services = [having(asking("web", "192.0.2.l7"), &["192.0.2.17"])];
    let plan = Cluster::of(&blue(), &services).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.17"]);
    assert_eq!(condition(&plan, "web").1, "partly_satisfied");
}

#[test]
fn a_request_that_is_withdrawn_leaves_the_address() {
    let services = [having(service("web"), &["192.0.2.7"])];
    let plan = Cluster::of(&blue(), &services).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.7"]);
}

/// Whom a message names must not depend on who came to the address first, or the next look would write again.
#[test]
fn of_several_holders_the_oldest_is_named_in_whatever_order_they_came() {
    let keyed = |service| annotated(service, "lbipam.cilium.io/sharing-key", "k");
    let port = |service, port: u16| with(service, json!({"spec": {"ports": [{"port": port}]}}));
    let services = [
        made(
            keyed(having(asking("young", "192.0.2.7"), &["192.0.2.7"])),
            3,
        ),
        made(keyed(port(asking("old", "192.0.2.7"), 443)), 1),
        made(asking("web", "192.0.2.7"), 2),
    ];
    let mut cluster = Cluster::of(&blue(), &services);
    let plan = cluster.plan();
    assert_eq!(addresses(&plan, "old"), ["192.0.2.7"]);
    let message = condition(&plan, "web").2;
    assert!(message.contains("held by Service shop/old,"), "{message}");
    cluster.carry_out(&plan);
    assert_eq!(cluster.plan(), plan);
}
