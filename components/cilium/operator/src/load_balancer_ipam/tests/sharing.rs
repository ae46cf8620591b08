use super::*;

fn blue() -> [Value; 1] {
    [pool("blue", &["192.0.2.0/24"])]
}

fn sharing(name: &str, key: &str, port: u16) -> Value {
    let keyed = annotated(service(name), "lbipam.cilium.io/sharing-key", key);
    with(keyed, json!({"spec": {"ports": [{"port": port}]}}))
}

fn elsewhere(service: Value, across: &str) -> Value {
    let there = with(service, json!({"metadata": {"namespace": "bank"}}));
    annotated(there, "lbipam.cilium.io/sharing-cross-namespace", across)
}

/// Addresses of `shop/a` and of the other Service.
fn pair(a: Value, b: Value) -> [Vec<String>; 2] {
    let cluster = Cluster::of(&blue(), &[a, b]);
    let plan = cluster.plan();
    [0, 1].map(|at| {
        let wanted = &plan.services[&key_of(&cluster.services[at])];
        wanted
            .ingress
            .iter()
            .filter_map(|entry| entry.ip.clone())
            .collect()
    })
}

fn shared(a: Value, b: Value) -> bool {
    let [a, b] = pair(a, b);
    assert_eq!((a.len(), b.len()), (1, 1));
    a == b
}

#[test]
fn services_with_one_key_and_different_ports_share_an_address() {
    assert!(shared(sharing("a", "k", 80), sharing("b", "k", 443)));
}

#[test]
fn one_port_of_two_protocols_is_two_ports() {
    let udp = with(
        sharing("b", "k", 53),
        json!({"spec": {"ports": [{"port": 53, "protocol": "UDP"}]}}),
    );
    assert!(shared(sharing("a", "k", 53), udp));
}

#[test]
fn services_with_a_common_port_or_without_a_common_key_do_not_share() {
    assert!(!shared(sharing("a", "k", 80), sharing("b", "k", 80)));
    assert!(!shared(sharing("a", "k", 80), sharing("b", "other", 443)));
    assert!(!shared(
        sharing("a", "k", 80),
        with(service("b"), json!({"spec": {"ports": [{"port": 443}]}}))
    ));
}

#[test]
fn services_of_different_traffic_policies_do_not_share_and_local_ones_must_select_the_same() {
    let local = |service: Value, app: &str| {
        with(
            service,
            json!({"spec": {"externalTrafficPolicy": "Local", "selector": {"app": app}}}),
        )
    };
    let (a, b) = (sharing("a", "k", 80), sharing("b", "k", 443));
    assert!(!shared(a.clone(), local(b.clone(), "web")));
    assert!(!shared(local(a.clone(), "web"), local(b.clone(), "db")));
    assert!(shared(local(a, "web"), local(b, "web")));
}

#[test]
fn services_of_different_namespaces_share_only_where_both_say_so() {
    let across = "lbipam.cilium.io/sharing-cross-namespace";
    let a = || sharing("a", "k", 80);
    let b = || sharing("b", "k", 443);
    assert!(!shared(
        a(),
        with(b(), json!({"metadata": {"namespace": "bank"}}))
    ));
    assert!(!shared(a(), elsewhere(b(), "shop")));
    assert!(!shared(
        annotated(a(), across, "hotel"),
        elsewhere(b(), "shop")
    ));
    assert!(shared(
        annotated(a(), across, "hotel,bank"),
        elsewhere(b(), "shop")
    ));
    assert!(shared(annotated(a(), across, "*"), elsewhere(b(), "*")));
}

#[test]
fn sharers_keep_sharing_and_one_whose_ports_begin_to_collide_gets_another_address() {
    let held = |service: Value| having(service, &["192.0.2.7"]);
    assert!(shared(
        held(sharing("a", "k", 80)),
        held(sharing("b", "k", 443))
    ));
    let [a, b] = pair(held(sharing("a", "k", 80)), held(sharing("b", "k", 80)));
    assert_eq!(
        (a, b),
        (vec!["192.0.2.7".to_owned()], vec!["192.0.2.0".to_owned()])
    );
}

#[test]
fn an_address_is_shared_by_request_only_with_the_key() {
    let ask = |service: Value| annotated(service, "lbipam.cilium.io/ips", "192.0.2.7");
    assert!(shared(
        ask(sharing("a", "k", 80)),
        ask(sharing("b", "k", 443))
    ));
    let plan = Cluster::of(&blue(), &[ask(sharing("a", "k", 80)), ask(service("b"))]).plan();
    let (_, reason, message) = condition(&plan, "b");
    assert_eq!(reason, "already_allocated");
    assert!(
        message.contains("shop/a, which does not share it"),
        "{message}"
    );
}

#[test]
fn thousands_of_services_with_one_key_and_one_port_get_an_address_each() {
    let services: Vec<Value> = (0..2_000)
        .map(|number| sharing(&format!("s{number:04}"), "k", 80))
        .collect();
    let plan = Cluster::of(&[pool("wide", &["20.0.0.0/8"])], &services).plan();
    assert_eq!(plan.pools["wide"].used, 2_000);
}
