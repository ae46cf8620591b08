//! Pools and Services as people write them in, addresses and conditions out.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde_json::{Value, json};

use super::*;

mod always;
mod pools;
mod requests;
mod services;
mod sharing;

/// A cluster with a node at 172.18.0.2 whose pods are in 10.244.1.0/24.
#[derive(Default)]
struct Cluster {
    pools: Vec<CiliumLoadBalancerIPPool>,
    services: Vec<Service>,
    unreadable_pools: bool,
    elsewhere: Vec<(Key, Ipv4Addr)>,
}

impl Cluster {
    fn of(pools: &[Value], services: &[Value]) -> Self {
        let read = |value: &Value| serde_json::from_value(value.clone()).unwrap();
        Self {
            pools: pools
                .iter()
                .map(|v| serde_json::from_value(v.clone()).unwrap())
                .collect(),
            services: services.iter().map(read).collect(),
            ..Self::default()
        }
    }

    fn plan(&self) -> Plan {
        let node = ip("172.18.0.2");
        let pods: ipnet::Ipv4Net = "10.244.1.0/24".parse().unwrap();
        plan(&Input {
            pools: self.pools.iter().collect(),
            unreadable_pools: self.unreadable_pools,
            services: self.services.iter().collect(),
            elsewhere: self.elsewhere.clone(),
            cluster: [
                (node.into(), Own::Node("worker-1")),
                (pods.into(), Own::Pods("worker-1")),
            ]
            .into_iter()
            .collect(),
        })
    }

    /// Writes a plan into the Services, as the API server would.
    fn carry_out(&mut self, plan: &Plan) {
        for service in &mut self.services {
            let Some(wanted) = plan.services.get(&key_of(service)) else {
                continue;
            };
            let status = service.status.get_or_insert_default();
            status.load_balancer.get_or_insert_default().ingress = Some(wanted.ingress.clone());
            let said = wanted.condition.iter().map(|said| Condition {
                type_: said.type_.to_owned(),
                status: said.status.to_owned(),
                reason: said.reason.to_owned(),
                message: said.message.clone(),
                last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
                observed_generation: None,
            });
            status.conditions = Some(said.collect());
        }
    }
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn key_of(service: &Service) -> Key {
    let metadata = &service.metadata;
    Key {
        namespace: metadata.namespace.clone().unwrap_or_default(),
        name: metadata.name.clone().unwrap_or_default(),
    }
}

/// What a plan says of a Service of namespace shop.
fn of<'a>(plan: &'a Plan, name: &str) -> Option<&'a Wanted> {
    let key = Key {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    };
    plan.services.get(&key)
}

/// The addresses of a Service of namespace shop.
fn addresses<'a>(plan: &'a Plan, name: &str) -> Vec<&'a str> {
    let wanted = of(plan, name).unwrap_or_else(|| panic!("{name} is left alone: {plan:?}"));
    let ips = wanted.ingress.iter().map(|entry| entry.ip.as_deref());
    ips.map(Option::unwrap_or_default).collect()
}

/// Status, reason and message of a Service of namespace shop.
fn condition<'a>(plan: &'a Plan, name: &str) -> (&'a str, &'a str, &'a str) {
    let said = of(plan, name).and_then(|wanted| wanted.condition.as_ref());
    let said = said.unwrap_or_else(|| panic!("nothing is said of {name}: {plan:?}"));
    (said.status, said.reason, &said.message)
}

/// Blocks are `192.0.2.0/24` or `192.0.2.1-192.0.2.9`.
fn pool(name: &str, blocks: &[&str]) -> Value {
    let block = |text: &&str| match text.split_once('-') {
        Some((start, stop)) => json!({"start": start, "stop": stop}),
        None => json!({"cidr": text}),
    };
    json!({
        "metadata": {"name": name},
        "spec": {"blocks": blocks.iter().map(block).collect::<Vec<_>>()},
    })
}

fn service(name: &str) -> Value {
    json!({
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    })
}

fn with(mut object: Value, more: Value) -> Value {
    fn merge(into: &mut Value, more: Value) {
        match (into, more) {
            (Value::Object(into), Value::Object(more)) => {
                for (key, value) in more {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, more) => *into = more,
        }
    }
    merge(&mut object, more);
    object
}

fn annotated(service: Value, key: &str, value: &str) -> Value {
    with(service, json!({"metadata": {"annotations": {key: value}}}))
}

fn asking(name: &str, ips: &str) -> Value {
    annotated(service(name), "lbipam.cilium.io/ips", ips)
}

fn made(object: Value, day: u8) -> Value {
    let time = format!("2026-01-{day:02}T00:00:00Z");
    with(object, json!({"metadata": {"creationTimestamp": time}}))
}

fn written(service: Value, addresses: &[&str]) -> Value {
    let ingress: Vec<Value> = addresses
        .iter()
        .map(|ip| json!({"ip": ip, "ipMode": "VIP"}))
        .collect();
    with(
        service,
        json!({"status": {"loadBalancer": {"ingress": ingress}}}),
    )
}

fn told(service: Value, status: &str, reason: &str) -> Value {
    let condition = json!({
        "type": "cilium.io/IPAMRequestSatisfied", "status": status, "reason": reason, "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    with(service, json!({"status": {"conditions": [condition]}}))
}

/// As we leave a Service that got what it asked for.
fn having(service: Value, addresses: &[&str]) -> Value {
    told(written(service, addresses), "True", "satisfied")
}
