//! What Services are for whoever asks from outside the cluster.

use super::*;

#[test]
fn a_node_port_an_external_address_and_a_load_balancers_lead_to_all_endpoints_from_both_sides() {
    let mut service = service(load_balancer());
    service.status = serde_json::from_value(json!({"loadBalancer": {"ingress": [
        {"ip": "198.51.100.9"}, {"ip": "198.51.100.8", "ipMode": "Proxy"}, {"hostname": "lb.example"}]}}))
    .unwrap();
    let slices = [here_and_there()];
    let both = [backend("10.244.1.5:8080"), backend("10.244.2.5:8080")];
    for at in ["172.30.0.11:30080", "203.0.113.7:80", "198.51.100.9:80"] {
        let (inside, outside) = reached(&service, &slices, at);
        let (inside, outside) = (inside.unwrap(), outside.unwrap());
        for balanced in [&inside, &outside] {
            assert_eq!(balanced.backends, both, "{at}");
        }
        assert!(!inside.exclusive, "{at} may be a host's as well");
        // A balancer brings to the node nothing but what is for Services.
        assert_eq!(outside.exclusive, at == "198.51.100.9:80", "{at}");
    }
    assert_eq!(reached(&service, &slices, "198.51.100.8:80"), (None, None));
    let (inside, outside) = reached(&service, &slices, "10.96.0.7:80");
    assert!(inside.unwrap().exclusive);
    assert_eq!(outside, None, "a ClusterIP is not for the outside");
    assert_eq!(
        translate([&service], &Slices::of(&slices), [], OWN).len(),
        7
    );
}

#[test]
fn a_load_balancers_address_that_is_left_in_the_status_of_another_type_is_nobodys() {
    let mut spec = load_balancer();
    spec["type"] = json!("NodePort");
    let mut service = service(spec);
    service.status =
        serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}))
            .unwrap();
    assert_eq!(reached(&service, &[], "198.51.100.9:80"), (None, None));
    assert!(reached(&service, &[], "172.30.0.11:30080").1.is_some());
}

#[test]
fn no_service_takes_an_address_that_means_the_node_itself() {
    let mut spec = load_balancer();
    spec["externalIPs"] = json!(["127.0.0.1", "169.254.169.254", "224.0.0.1", "0.0.0.0"]);
    let mut taken = service(spec);
    taken.status = serde_json::from_value(
        json!({"loadBalancer": {"ingress": [{"ip": "127.0.0.53"}, {"ip": "203.0.113.9"}]}}),
    )
    .unwrap();
    let addresses: BTreeSet<String> = translated(&taken, &[here_and_there()])
        .iter()
        .map(|one| one.frontend.ip.to_string())
        .collect();
    let expected = ["10.96.0.7", "203.0.113.9", &OWN.ip.to_string()].map(ToOwned::to_owned);
    assert_eq!(addresses, expected.into());
}

#[test]
fn external_traffic_policy_local_keeps_the_outside_on_this_node_and_the_inside_anywhere() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    let service = service(spec);
    let (inside, outside) = reached(&service, &[here_and_there()], "172.30.0.11:30080");
    assert_eq!(inside.unwrap().backends.len(), 2);
    assert_eq!(outside.unwrap().backends, [backend("10.244.1.5:8080")]);
}

#[test]
fn without_a_local_endpoint_packets_are_dropped_for_another_node_has_one_and_refused_if_none_has() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    spec["internalTrafficPolicy"] = json!("Local");
    let service = service(spec);
    let elsewhere = slice(json!([{"addresses": ["10.244.2.5"], "nodeName": "worker-2"}]));
    for (slices, expected) in [
        (vec![elsewhere], WhenEmpty::Drop),
        (vec![], WhenEmpty::Refuse),
    ] {
        let (inside, _) = reached(&service, &slices, "10.96.0.7:80");
        let (_, outside) = reached(&service, &slices, "172.30.0.11:30080");
        for balanced in [inside.unwrap(), outside.unwrap()] {
            assert_eq!(
                (balanced.backends.len(), balanced.when_empty),
                (0, expected)
            );
        }
    }
}

#[test]
fn a_local_endpoint_that_is_ending_serves_when_the_ready_ones_are_elsewhere() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    let slice = slice(json!([
        {"addresses": ["10.244.1.5"], "nodeName": "worker-1",
         "conditions": {"ready": false, "serving": true, "terminating": true}},
        {"addresses": ["10.244.2.5"], "nodeName": "worker-2"},
    ]));
    let (inside, outside) = reached(&service(spec), &[slice], "172.30.0.11:30080");
    assert_eq!(inside.unwrap().backends, [backend("10.244.2.5:8080")]);
    assert_eq!(outside.unwrap().backends, [backend("10.244.1.5:8080")]);
}

#[test]
fn source_ranges_close_a_load_balancers_address_to_the_outside_and_one_that_is_unreadable_opens_nothing()
 {
    let mut spec = load_balancer();
    spec["loadBalancerSourceRanges"] = json!(["192.0.2.7/24", " 192.0.2.0/24 ", "fd00::/8"]);
    let balanced = |spec: Value| {
        let mut service = service(spec);
        service.status =
            serde_json::from_value(json!({"loadBalancer": {"ingress": [{"ip": "198.51.100.9"}]}}))
                .unwrap();
        let of = |at| reached(&service, &[], at);
        (of("198.51.100.9:80"), of("172.30.0.11:30080"))
    };
    let ((inside, outside), (_, node_port)) = balanced(spec.clone());
    assert_eq!(
        outside.unwrap().source_ranges,
        ["192.0.2.0/24".parse().unwrap()]
    );
    assert!(inside.unwrap().source_ranges.is_empty());
    assert!(node_port.unwrap().source_ranges.is_empty());
    spec["loadBalancerSourceRanges"] = json!(["fd00::/8"]);
    let ((_, outside), _) = balanced(spec);
    assert_eq!(
        outside.unwrap().source_ranges,
        ["0.0.0.0/32".parse().unwrap()]
    );
}

#[test]
fn a_health_check_port_counts_the_ready_endpoints_here() {
    let mut spec = load_balancer();
    spec["externalTrafficPolicy"] = json!("Local");
    spec["healthCheckNodePort"] = json!(32_000);
    let endpoints = slice(json!([
        {"addresses": ["10.244.1.5"], "nodeName": "worker-1"},
        {"addresses": ["10.244.1.5"], "nodeName": "worker-1"},
        {"addresses": ["10.244.1.6"], "nodeName": "worker-1", "conditions": {"ready": false}},
        {"addresses": ["10.244.2.5"], "nodeName": "worker-2"},
    ]));
    let check = |spec: &Value, endpoints: &[EndpointSlice]| {
        health_checks::of(&service(spec.clone()), endpoints, OWN)
    };
    let (port, found) = check(&spec, &[endpoints]).unwrap();
    assert_eq!(
        (port, found.name.as_str(), found.local_endpoints),
        (32_000, "web", 1)
    );
    assert_eq!(check(&spec, &[]).unwrap().1.local_endpoints, 0);
    spec["externalTrafficPolicy"] = json!("Cluster");
    assert_eq!(check(&spec, &[]), None);
}

#[test]
fn maglev_is_for_the_outside_and_for_as_many_endpoints_as_a_table_has_room_for() {
    let maglev = Maglev::new(251, *b"of a cluster");
    let own = Own { maglev, ..OWN };
    let by_scope = |endpoints: usize| {
        let endpoints: Vec<Value> = (0..endpoints)
            .map(|n| json!({"addresses": [format!("10.244.{}.{}", n / 200, 1 + n % 200)]}))
            .collect();
        let (service, slices) = (service(load_balancer()), [slice(json!(endpoints))]);
        let all = translate([&service], &Slices::of(&slices), [], own);
        let all = all
            .into_values()
            .map(|one| (one.frontend.scope, one.maglev));
        all.collect::<BTreeMap<Scope, Option<Maglev>>>()
    };
    for (endpoints, outside) in [
        (0, None),
        (1, None),
        (2, maglev),
        (251, maglev),
        (252, None),
    ] {
        let expected = [(Scope::Inside, None), (Scope::Outside, outside)];
        assert_eq!(by_scope(endpoints), expected.into(), "{endpoints}");
    }
}
