//! What holds whatever people do, in whatever order.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Pool(Value),
    NoPool(u8),
    Service(Value),
    NoService(u8),
    /// Somebody writes an address into a Service.
    Foreign(u8, &'static str),
}

fn any_pool() -> impl Strategy<Value = Value> {
    // Most pools give: where nothing is given, nothing can go wrong.
    let sound = prop::sample::select(vec!["192.0.2.0/31", "192.0.2.1-192.0.2.4", "192.0.2.4/30"]);
    let odd = prop::sample::select(vec![
        "192.0.2.9-192.0.2.8",
        "172.18.0.0/30",
        "2001:db8::/64",
    ]);
    let blocks = prop::collection::vec(prop_oneof![9 => sound, 1 => odd], 1..3);
    let red = prop::option::weighted(0.2, Just(json!({"matchLabels": {"colour": "red"}})));
    (0u8..3, 1u8..9, blocks, prop::bool::weighted(0.2), red).prop_map(
        |(n, day, blocks, disabled, selector)| {
            let spec = json!({"spec": {"disabled": disabled, "serviceSelector": selector}});
            made(with(pool(&format!("p{n}"), &blocks), spec), day)
        },
    )
}

fn any_service() -> impl Strategy<Value = Value> {
    let ips = prop::sample::select(vec![
        "",
        "192.0.2.1",
        "192.0.2.3,192.0.2.5",
        "house",
        "9.9.9.9",
    ]);
    let key = prop::sample::select(vec!["", "k"]);
    let port = prop::sample::select(vec![80, 443]);
    let kind = prop::sample::select(vec![
        "LoadBalancer",
        "LoadBalancer",
        "LoadBalancer",
        "ClusterIP",
    ]);
    let class = prop::sample::select(vec![None, None, None, Some("metallb.io/metallb")]);
    let colour = prop::sample::select(vec!["red", "blue"]);
    (0u8..6, 1u8..9, ips, key, port, kind, class, colour).prop_map(
        |(n, day, ips, key, port, kind, class, colour)| {
            let keyed = annotated(
                asking(&format!("s{n}"), ips),
                "lbipam.cilium.io/sharing-key",
                key,
            );
            let more = json!({
                "metadata": {"labels": {"colour": colour}},
                "spec": {"type": kind, "loadBalancerClass": class, "ports": [{"port": port}]},
            });
            made(with(keyed, more), day)
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    let address = prop::sample::select(vec!["192.0.2.1", "192.0.2.2", "203.0.113.9"]);
    prop_oneof![
        4 => any_pool().prop_map(Step::Pool),
        1 => (0u8..3).prop_map(Step::NoPool),
        6 => any_service().prop_map(Step::Service),
        1 => (0u8..6).prop_map(Step::NoService),
        1 => (0u8..6, address).prop_map(|(n, address)| Step::Foreign(n, address)),
    ]
}

impl Cluster {
    fn take(&mut self, step: Step) {
        match step {
            Step::Pool(pool) => {
                let pool: CiliumLoadBalancerIPPool = serde_json::from_value(pool).unwrap();
                self.pools
                    .retain(|old| old.metadata.name != pool.metadata.name);
                self.pools.push(pool);
            }
            Step::NoPool(n) => {
                let name = Some(format!("p{n}"));
                self.pools.retain(|old| old.metadata.name != name);
            }
            Step::Service(service) => {
                let mut service: Service = serde_json::from_value(service).unwrap();
                let old = self
                    .services
                    .iter()
                    .position(|old| old.metadata.name == service.metadata.name);
                if let Some(at) = old {
                    service.status = self.services.remove(at).status;
                }
                self.services.push(service);
            }
            Step::NoService(n) => {
                let name = Some(format!("s{n}"));
                self.services.retain(|old| old.metadata.name != name);
            }
            Step::Foreign(n, address) => {
                let name = Some(format!("s{n}"));
                let entry = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
                for service in self.services.iter_mut().filter(|s| s.metadata.name == name) {
                    service.status = serde_json::from_value(entry.clone()).unwrap();
                }
            }
        }
    }

    fn held(&self) -> BTreeMap<Key, BTreeSet<Ipv4Addr>> {
        let of = |service| {
            claim::ingress(service)
                .iter()
                .filter_map(claim::address)
                .collect()
        };
        self.services.iter().map(|s| (key_of(s), of(s))).collect()
    }

    /// Key, if any, and port.
    fn sharing(&self, key: &Key) -> (Option<&str>, i32) {
        let service = self.services.iter().find(|s| key_of(s) == *key).unwrap();
        let annotations = service.metadata.annotations.as_ref().unwrap();
        let by = annotations["lbipam.cilium.io/sharing-key"].as_str();
        let ports = service.spec.as_ref().unwrap().ports.as_ref().unwrap();
        (Some(by).filter(|by| !by.is_empty()), ports[0].port)
    }
}

/// Said anew here, so that a mistake in reading blocks does not hide itself.
fn in_a_block(pools: &[CiliumLoadBalancerIPPool], address: Ipv4Addr) -> bool {
    let blocks = pools.iter().flat_map(|pool| &pool.spec.blocks);
    let mut blocks = blocks.map(|block| match (&block.cidr, &block.start, &block.stop) {
        (Some(cidr), ..) => cidr
            .parse::<ipnet::Ipv4Net>()
            .is_ok_and(|net| net.contains(&address)),
        (_, Some(start), Some(stop)) => (ip(start)..=ip(stop)).contains(&address),
        _ => false,
    });
    blocks.any(|inside| inside)
}

proptest! {
    /// The invariants of the whole module, after each of any steps.
    #[test]
    fn nobody_has_what_another_has_and_a_plan_carried_out_changes_nothing_more(
        steps in prop::collection::vec(any_step(), 1..24),
    ) {
        let mut cluster = Cluster::default();
        for step in steps {
            cluster.take(step);
            let before = cluster.held();
            let plan = cluster.plan();
            cluster.carry_out(&plan);

            let mut holders: BTreeMap<Ipv4Addr, Vec<&Key>> = BTreeMap::new();
            for (key, wanted) in plan.services.iter().filter(|(_, wanted)| wanted.condition.is_some()) {
                for address in wanted.ingress.iter().filter_map(claim::address) {
                    prop_assert!(before[key].contains(&address) || in_a_block(&cluster.pools, address), "{key} {address}");
                    holders.entry(address).or_default().push(key);
                }
            }
            for (address, holders) in holders {
                for (at, a) in holders.iter().enumerate() {
                    for b in &holders[at + 1..] {
                        let ((by, port), (other_by, other_port)) = (cluster.sharing(a), cluster.sharing(b));
                        prop_assert!(by.is_some() && by == other_by && port != other_port, "{a} and {b} have {address}");
                    }
                }
            }
            prop_assert_eq!(cluster.plan(), plan_as_carried_out(&cluster, plan));
        }
    }
}

/// A Service that was given up is not spoken of again.
fn plan_as_carried_out(cluster: &Cluster, mut plan: Plan) -> Plan {
    let exists: BTreeSet<Key> = cluster.services.iter().map(key_of).collect();
    plan.services
        .retain(|key, wanted| exists.contains(key) && wanted.condition.is_some());
    plan
}
