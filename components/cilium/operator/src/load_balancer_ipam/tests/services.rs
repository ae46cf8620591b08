use super::*;

#[test]
fn a_service_gets_the_lowest_free_address_and_is_told_that_all_is_well() {
    let cluster = Cluster::of(
        &[pool("blue", &["192.0.2.8/29", "192.0.2.0/31"])],
        &[service("web"), having(service("old"), &["192.0.2.0"])],
    );
    let plan = cluster.plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.1"]);
    assert_eq!(addresses(&plan, "old"), ["192.0.2.0"]);
    let (status, reason, _) = condition(&plan, "web");
    assert_eq!((status, reason), ("True", "satisfied"));
    assert_eq!((plan.matching, plan.unsatisfied), (2, 0));
}

#[test]
fn of_services_that_come_at_once_the_older_gets_the_lower_address() {
    let services = [made(service("a"), 2), made(service("b"), 1)];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services).plan();
    assert_eq!(addresses(&plan, "b"), ["192.0.2.0"]);
    assert_eq!(addresses(&plan, "a"), ["192.0.2.1"]);
}

#[test]
fn a_service_keeps_its_entry_as_it_is_although_a_lower_address_is_free() {
    let plan = Cluster::of(
        &[pool("blue", &["192.0.2.0/24"])],
        &[having(service("web"), &["192.0.2.77"])],
    )
    .plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.77"]);
    let entry = &of(&plan, "web").unwrap().ingress[0];
    assert_eq!(entry.ip_mode.as_deref(), Some("VIP"));
}

#[test]
fn of_two_services_with_one_address_the_older_keeps_it_and_the_other_gets_another() {
    let services = [
        made(having(service("a"), &["192.0.2.5"]), 9),
        made(having(service("b"), &["192.0.2.5"]), 1),
    ];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.5-192.0.2.6"])], &services).plan();
    assert_eq!(addresses(&plan, "b"), ["192.0.2.5"]);
    assert_eq!(addresses(&plan, "a"), ["192.0.2.6"]);
}

#[test]
fn services_of_ciliums_classes_are_served_and_those_of_others_are_left_alone() {
    let class = |name: &str, class: &str| {
        with(service(name), json!({"spec": {"loadBalancerClass": class}}))
    };
    let services = [
        class("l2", "io.cilium/l2-announcer"),
        class("bgp", "io.cilium/bgp-control-plane"),
        class("metal", "metallb.io/metallb"),
        with(service("inner"), json!({"spec": {"type": "ClusterIP"}})),
    ];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services).plan();
    let served: Vec<&str> = plan.services.keys().map(|key| key.name.as_str()).collect();
    assert_eq!(served, ["bgp", "l2"]);
}

#[test]
fn what_somebody_else_wrote_is_left_alone_and_not_given_to_others() {
    let named = with(
        service("named"),
        json!({"status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}, {"ip": "192.0.2.0"}]}}}),
    );
    let colour = json!({"spec": {"serviceSelector": {"matchLabels": {"colour": "blue"}}}});
    let blue = json!({"metadata": {"labels": {"colour": "blue"}}});
    let services = [
        named,
        written(service("outside"), &["203.0.113.9"]),
        written(service("unselected"), &["192.0.2.1"]),
        with(service("web"), blue),
    ];
    let plan = Cluster::of(&[with(pool("blue", &["192.0.2.0/29"]), colour)], &services).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.2"]);
    assert_eq!(plan.services.len(), 1, "{plan:?}");
}

#[test]
fn an_address_of_a_pool_without_a_condition_is_taken_over_as_it_is() {
    let services = [written(service("web"), &["192.0.2.9"])];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.9"]);
    assert_eq!(condition(&plan, "web").0, "True");
}

#[test]
fn a_cloud_that_writes_after_we_had_nothing_to_give_is_left_alone_and_our_condition_goes() {
    let services = [told(
        written(service("web"), &["203.0.113.9"]),
        "False",
        "out_of_ips",
    )];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services).plan();
    assert_eq!(addresses(&plan, "web"), ["203.0.113.9"]);
    assert_eq!(of(&plan, "web").unwrap().condition, None);
}

#[test]
fn an_address_that_somebody_wrote_over_ours_stays_and_ours_stay_after_their_pool_only_until_it_changes()
 {
    let by = |manager: &str| {
        let fields = json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}});
        let entry = json!({"manager": manager, "operation": "Update", "fieldsV1": fields});
        with(
            having(service("web"), &["203.0.113.9"]),
            json!({"metadata": {"managedFields": [entry]}}),
        )
    };
    let pools = [pool("blue", &["192.0.2.0/24"])];
    let theirs = Cluster::of(&pools, &[by("cloud-controller-manager")]).plan();
    assert_eq!(addresses(&theirs, "web"), ["203.0.113.9"]);
    assert_eq!(of(&theirs, "web").unwrap().condition, None);
    let ours = Cluster::of(&pools, &[by("cilium-operator")]).plan();
    assert_eq!(addresses(&ours, "web"), ["192.0.2.0"]);
}

#[test]
fn a_service_that_is_no_load_balancer_any_more_loses_address_and_condition() {
    let inner = json!({"spec": {"type": "ClusterIP"}});
    let services = [
        with(having(service("web"), &["192.0.2.0"]), inner),
        service("next"),
    ];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services).plan();
    let expected = Wanted {
        ingress: Vec::new(),
        condition: None,
    };
    assert_eq!(of(&plan, "web"), Some(&expected));
    assert_eq!(addresses(&plan, "next"), ["192.0.2.0"]);
}

#[test]
fn a_service_that_went_to_another_class_loses_what_is_ours_and_nothing_else() {
    let metal = json!({"spec": {"loadBalancerClass": "metallb.io/metallb"}});
    let had = having(service("web"), &["192.0.2.0", "203.0.113.9"]);
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &[with(had, metal)]).plan();
    assert_eq!(addresses(&plan, "web"), ["203.0.113.9"]);
    assert_eq!(of(&plan, "web").unwrap().condition, None);
}

#[test]
fn a_service_that_is_being_deleted_keeps_its_address_until_it_is_gone() {
    let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
    let services = [
        with(having(service("going"), &["192.0.2.0"]), going),
        service("web"),
    ];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services).plan();
    assert_eq!(of(&plan, "going"), None);
    assert_eq!(addresses(&plan, "web"), ["192.0.2.1"]);
}

#[test]
fn the_address_of_a_service_that_cannot_be_read_is_not_given() {
    let mut cluster = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &[service("web")]);
    cluster.elsewhere = vec![(Key::default(), ip("192.0.2.0"))];
    assert_eq!(addresses(&cluster.plan(), "web"), ["192.0.2.1"]);
}

#[test]
fn a_full_pool_is_named_and_counted() {
    let services = [made(service("a"), 1), made(service("b"), 2)];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/32"])], &services).plan();
    let (status, reason, message) = condition(&plan, "b");
    assert_eq!((status, reason), ("False", "out_of_ips"));
    assert_eq!(
        message,
        "no address is left in CiliumLoadBalancerIPPool blue for Service shop/b; add a block"
    );
    assert!(addresses(&plan, "b").is_empty());
    assert_eq!((plan.matching, plan.unsatisfied), (2, 1));
}

#[test]
fn a_service_that_no_pool_selects_is_told_so_and_loses_an_address_of_ours() {
    let selector = |labels: Value| json!({"spec": {"serviceSelector": {"matchLabels": labels}}});
    let web = having(service("web"), &["192.0.2.0"]);
    for labels in [
        json!({"io.kubernetes.service.namespace": "shop"}),
        json!({"io.kubernetes.service.name": "web"}),
    ] {
        let pools = [with(pool("blue", &["192.0.2.0/24"]), selector(labels))];
        let plan = Cluster::of(&pools, std::slice::from_ref(&web)).plan();
        assert_eq!(addresses(&plan, "web"), ["192.0.2.0"]);
    }
    let labels = selector(json!({"io.kubernetes.service.namespace": "bank"}));
    let plan = Cluster::of(&[with(pool("blue", &["192.0.2.0/24"]), labels)], &[web]).plan();
    assert!(addresses(&plan, "web").is_empty());
    assert_eq!(condition(&plan, "web").1, "no_pool");
    assert_eq!(plan.matching, 0);
}

#[test]
fn an_address_goes_when_its_pool_is_gone_and_another_takes_its_place() {
    let services = [having(service("web"), &["198.51.100.1"])];
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.0"]);
}

#[test]
fn without_any_pool_nothing_is_taken_away_and_nobody_is_told() {
    let services = [having(service("web"), &["192.0.2.0"]), service("new")];
    let plan = Cluster::of(&[], &services).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.0"]);
    assert_eq!(condition(&plan, "web").0, "True");
    assert_eq!(of(&plan, "new"), None);
}

#[test]
fn while_a_pool_cannot_be_read_nothing_is_taken_away() {
    let services = [having(service("web"), &["198.51.100.1"])];
    let mut cluster = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &services);
    cluster.unreadable_pools = true;
    assert_eq!(addresses(&cluster.plan(), "web"), ["198.51.100.1"]);
}

#[test]
fn a_service_of_ipv6_alone_is_told_that_only_ipv4_is_given() {
    let six = with(service("web"), json!({"spec": {"ipFamilies": ["IPv6"]}}));
    let plan = Cluster::of(&[pool("blue", &["192.0.2.0/24"])], &[six]).plan();
    assert!(addresses(&plan, "web").is_empty());
    assert_eq!(condition(&plan, "web").1, "ipv6_not_served");
}

#[test]
fn of_several_pools_that_select_a_service_the_lowest_address_is_given() {
    let pools = [
        made(pool("a", &["198.51.100.0/24"]), 1),
        made(pool("b", &["192.0.2.0/24"]), 2),
    ];
    let plan = Cluster::of(&pools, &[service("web")]).plan();
    assert_eq!(addresses(&plan, "web"), ["192.0.2.0"]);
}

#[test]
fn ten_thousand_services_get_the_first_ten_thousand_addresses_of_a_slash_8() {
    let services: Vec<Value> = (0..10_000)
        .map(|number| service(&format!("s{number:05}")))
        .collect();
    let plan = Cluster::of(&[pool("wide", &["20.0.0.0/8"])], &services).plan();
    assert_eq!(addresses(&plan, "s00000"), ["20.0.0.0"]);
    assert_eq!(addresses(&plan, "s09999"), ["20.0.39.15"]);
    assert_eq!(plan.pools["wide"].used, 10_000);
    assert_eq!(plan.pools["wide"].available, (1 << 24) - 10_000);
}
