use kube::{Resource, runtime::watcher::Event};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::cache::Cache;

fn pool() -> Value {
    json!({
        "metadata": {"name": "blue", "uid": "p", "resourceVersion": "3"},
        "spec": {"blocks": [{"cidr": "192.0.2.0/24"}]},
    })
}

fn service(name: &str, version: &str, status: &Value) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "shop", "uid": name, "resourceVersion": version,
            "annotations": {"other": "x", "lbipam.cilium.io/sharing-key": ""},
        },
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        "status": status,
    })
}

fn fill<K: Resource<DynamicType = ()> + DeserializeOwned>(cache: &Cache<K>, objects: &[Value]) {
    cache.take(Event::Init);
    for object in objects {
        cache.take(Event::InitApply(
            serde_json::from_value(object.clone()).unwrap(),
        ));
    }
    cache.take(Event::InitDone);
}

fn world(pools: &[Value], services: &[Value]) -> World {
    let world = World::default();
    fill(&world.load_balancer_pools, pools);
    fill(&world.services, services);
    fill(&world.nodes, &[]);
    fill(&world.cilium_nodes, &[]);
    world
}

fn duty() -> LoadBalancerIpam {
    LoadBalancerIpam::new(Arc::new(Metrics::default()))
}

fn decide(duty: &mut LoadBalancerIpam, world: &World) -> Vec<Write> {
    duty.decide(world, Instant::now()).writes
}

/// Name and addresses of each Service that is written.
fn given(writes: &[Write]) -> Vec<(String, Vec<String>)> {
    let services = writes.iter().filter_map(|write| match write {
        Write::ServiceAddresses(write) => Some(write),
        _ => None,
    });
    services
        .map(|write| {
            let ips = write.ingress.iter().filter_map(|entry| entry.ip.clone());
            (write.service.key.name.clone(), ips.collect())
        })
        .collect()
}

/// A write as the watch shows it later.
fn shown(write: &ServiceAddresses, version: &str) -> Value {
    let condition = write.condition.as_ref().map(|condition| {
        let said = &condition.said;
        json!({
            "type": said.type_, "status": said.status, "reason": said.reason, "message": said.message,
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        })
    });
    let status = json!({
        "loadBalancer": {"ingress": write.ingress},
        "conditions": condition.into_iter().collect::<Vec<_>>(),
    });
    service(&write.service.key.name, version, &status)
}

#[test]
fn a_new_service_and_its_pool_are_written_at_the_versions_that_were_seen() {
    let writes = decide(
        &mut duty(),
        &world(&[pool()], &[service("web", "7", &json!({}))]),
    );
    let [
        Write::ServiceAddresses(service),
        Write::PoolConditions(pool),
    ] = writes.as_slice()
    else {
        panic!("{writes:?}")
    };
    assert_eq!(service.service.resource_version.as_deref(), Some("7"));
    assert_eq!(pool.pool.resource_version.as_deref(), Some("3"));
    let used = pool.conditions.last().unwrap();
    assert_eq!(
        (used.said.type_, used.said.message.as_str()),
        ("cilium.io/IPsUsed", "1")
    );
}

#[test]
fn what_is_right_already_costs_no_write() {
    let before = world(&[pool()], &[service("web", "7", &json!({}))]);
    let writes = decide(&mut duty(), &before);
    let [
        Write::ServiceAddresses(service),
        Write::PoolConditions(written),
    ] = writes.as_slice()
    else {
        panic!("{writes:?}")
    };
    let conditions: Vec<Value> = written
        .conditions
        .iter()
        .map(|condition| {
            let said = &condition.said;
            json!({"type": said.type_, "status": said.status, "reason": said.reason, "message": said.message})
        })
        .collect();
    let mut pool = pool();
    pool["status"] = json!({"conditions": conditions});
    let after = world(&[pool], &[shown(service, "8")]);
    assert_eq!(decide(&mut duty(), &after), []);
}

#[test]
fn an_address_that_was_just_written_is_not_given_again_before_the_watch_shows_it() {
    let mut duty = duty();
    let first = world(&[pool()], &[service("b", "7", &json!({}))]);
    for write in decide(&mut duty, &first) {
        duty.written(&write);
    }
    // By age and name `a` comes first and would get the address, were it free.
    let services = [service("a", "8", &json!({})), service("b", "7", &json!({}))];
    let writes = decide(&mut duty, &world(&[pool()], &services));
    assert_eq!(
        given(&writes),
        [("a".to_owned(), vec!["192.0.2.1".to_owned()])]
    );
}

#[test]
fn a_service_that_changed_after_the_write_is_read_as_it_is() {
    let mut duty = duty();
    let first = world(&[pool()], &[service("web", "7", &json!({}))]);
    for write in decide(&mut duty, &first) {
        duty.written(&write);
    }
    let emptied = world(&[pool()], &[service("web", "9", &json!({}))]);
    assert_eq!(given(&decide(&mut duty, &emptied)).len(), 1);
}

#[test]
fn before_every_list_is_complete_nothing_is_written() {
    for missing in [
        "ciliumloadbalancerippools",
        "services",
        "nodes",
        "ciliumnodes",
    ] {
        let world = World::default();
        if missing != "ciliumloadbalancerippools" {
            fill(&world.load_balancer_pools, &[pool()]);
        }
        if missing != "services" {
            fill(&world.services, &[service("web", "7", &json!({}))]);
        }
        if missing != "nodes" {
            fill(&world.nodes, &[]);
        }
        if missing != "ciliumnodes" {
            fill(&world.cilium_nodes, &[]);
        }
        assert_eq!(decide(&mut duty(), &world), [], "{missing}");
    }
}

/// What is said of the pool where a Node and a CiliumNode say this.
fn said_of_pool(node: &Value, cilium: &Value) -> (Vec<(String, Vec<String>)>, Said) {
    let world = world(&[pool()], &[service("web", "7", &json!({}))]);
    let object = |key: &str, rest: &Value| json!({"metadata": {"name": "worker-1"}, key: rest});
    fill(&world.nodes, &[object("status", node)]);
    fill(&world.cilium_nodes, &[object("spec", cilium)]);
    let writes = decide(&mut duty(), &world);
    let Some(Write::PoolConditions(pool)) = writes.last() else {
        panic!("{writes:?}")
    };
    (given(&writes), pool.conditions[0].said.clone())
}

#[test]
fn nodes_addresses_and_podcidrs_are_kept_off() {
    let address = |kind: &str| json!({"addresses": [{"type": kind, "address": "192.0.2.9"}, {"type": kind, "address": "2001:db8::9"}]});
    let range = json!({"ipam": {"podCIDRs": ["192.0.2.128/25"]}});
    for (node, cilium, whose) in [
        (
            address("InternalIP"),
            json!({}),
            "an address of Node worker-1",
        ),
        (
            address("ExternalIP"),
            json!({}),
            "an address of Node worker-1",
        ),
        (json!({}), range, "the podCIDR of CiliumNode worker-1"),
    ] {
        let (given, said) = said_of_pool(&node, &cilium);
        assert_eq!(given, [("web".to_owned(), Vec::new())]);
        assert_eq!(said.reason, "cluster_overlap");
        assert!(said.message.contains(whose), "{}", said.message);
    }
}

/// Its agent may name any.
#[test]
fn an_address_that_only_a_ciliumnode_names_closes_no_pool() {
    for kind in ["InternalIP", "ExternalIP", "CiliumInternalIP"] {
        let addresses = json!({"addresses": [{"type": kind, "ip": "192.0.2.9"}]});
        let (given, said) = said_of_pool(&json!({}), &addresses);
        assert_eq!(given, [("web".to_owned(), vec!["192.0.2.0".to_owned()])]);
        assert_eq!(said.reason, "no_conflict", "{kind}");
    }
}

#[test]
fn a_condition_keeps_its_time_while_its_status_stays() {
    let status = json!({
        "conditions": [{
            "type": "cilium.io/IPAMRequestSatisfied", "status": "False", "reason": "no_pool", "message": "old",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
    });
    let mut full = pool();
    full["spec"]["disabled"] = json!(true);
    let writes = decide(
        &mut duty(),
        &world(&[full], &[service("web", "7", &status)]),
    );
    let Some(Write::ServiceAddresses(write)) = writes.first() else {
        panic!("{writes:?}")
    };
    let condition = write.condition.as_ref().unwrap();
    assert_eq!(condition.since.as_deref(), Some("2026-01-01T00:00:00Z"));
    let writes = decide(
        &mut duty(),
        &world(&[pool()], &[service("web", "7", &status)]),
    );
    let Some(Write::ServiceAddresses(write)) = writes.first() else {
        panic!("{writes:?}")
    };
    assert_eq!(write.condition.as_ref().unwrap().since, None);
}

#[test]
fn who_loses_an_address_is_written_before_who_gets_it() {
    let has = |ips: Value| {
        json!({
            "loadBalancer": {"ingress": ips},
            "conditions": [{
                "type": "cilium.io/IPAMRequestSatisfied", "status": "True", "reason": "satisfied", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        })
    };
    let mut leaving = service("z", "7", &has(json!([{"ip": "192.0.2.0"}])));
    leaving["spec"]["type"] = json!("ClusterIP");
    let services = [service("a", "7", &json!({})), leaving];
    let writes = decide(&mut duty(), &world(&[pool()], &services));
    assert_eq!(
        given(&writes),
        [
            ("z".to_owned(), Vec::new()),
            ("a".to_owned(), vec!["192.0.2.0".to_owned()])
        ]
    );
}
