//! Reads pools, Services and CiliumNodes, plans, and writes the statuses that differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Instant,
};

use cilium_api::{CiliumLoadBalancerIPPool, CiliumNode, load_balancer_pool::REQUEST_SATISFIED};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Node, Service},
    apimachinery::pkg::apis::meta::v1::{Condition as ServiceCondition, Time},
};
use tokio::sync::watch;

use super::{Input, Own, Owned, Plan, Report, Said, Span, Wanted, claim, plan};
use crate::{
    cache::{Key, Snapshot},
    controller::{Controller, Decision},
    metrics::Metrics,
    seen::Unreadable,
    world::World,
    write::{Condition, PoolConditions, ServiceAddresses, Target, Write},
};

/// The duty.
#[derive(Debug)]
pub struct LoadBalancerIpam {
    /// Services as they were written, until the watch shows it: an address that was just given would look free.
    written: BTreeMap<Key, ServiceAddresses>,
    /// Pools that metrics know.
    counted: BTreeSet<String>,
    metrics: Arc<Metrics>,
}

impl LoadBalancerIpam {
    /// Counts addresses in `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            written: BTreeMap::new(),
            counted: BTreeSet::new(),
            metrics,
        }
    }

    /// The Services, with what was written since.
    fn services(&mut self, seen: &Snapshot<Service>) -> BTreeMap<Key, Arc<Service>> {
        let mut services = seen.objects.clone();
        self.written.retain(|key, written| {
            let Some(service) = services.get_mut(key) else {
                return false;
            };
            let unseen = service.metadata.resource_version == written.service.resource_version;
            if unseen {
                show(Arc::make_mut(service), written);
            }
            unseen
        });
        services
    }

    fn count(&mut self, plan: &Plan) {
        let conflicting = plan.pools.values().filter(|pool| pool.conflicting).count();
        let load_balancers = self.metrics.load_balancers();
        load_balancers.services(plan.matching, plan.unsatisfied);
        load_balancers.conflicting(conflicting);
        for (name, report) in &plan.pools {
            load_balancers.pool(name, report.available, report.used);
        }
        let counted: BTreeSet<String> = plan.pools.keys().cloned().collect();
        for gone in self.counted.difference(&counted) {
            load_balancers.forget(gone);
        }
        self.counted = counted;
    }
}

impl Controller for LoadBalancerIpam {
    const NAME: &'static str = "load-balancer-ipam";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![
            world.load_balancer_pools.changes(),
            world.services.changes(),
            world.nodes.changes(),
            world.cilium_nodes.changes(),
        ]
    }

    fn decide(&mut self, world: &World, _now: Instant) -> Decision {
        let (pools, services) = (
            world.load_balancer_pools.snapshot(),
            world.services.snapshot(),
        );
        let (nodes, ciliums) = (world.nodes.snapshot(), world.cilium_nodes.snapshot());
        // Before the lists are complete an address that looks free may have a holder, and a pool that is missing may exist.
        if !pools.synced || !services.synced || !nodes.synced || !ciliums.synced {
            return Decision::default();
        }
        let shown = self.services(&services);
        let plan = plan(&Input {
            pools: pools.objects.values().map(|pool| &**pool).collect(),
            unreadable_pools: !pools.unreadable.is_empty(),
            services: shown.values().map(|service| &**service).collect(),
            elsewhere: elsewhere(&services),
            cluster: cluster(&nodes, &ciliums),
        });
        self.count(&plan);
        let mut writes: Vec<(&Arc<Service>, ServiceAddresses)> = plan
            .services
            .iter()
            .filter_map(|(key, wanted)| Some((shown.get(key)?, wanted)))
            .filter_map(|(service, wanted)| Some((service, differing(service, wanted)?)))
            .collect();
        // Who loses an address comes before who gets it.
        writes.sort_by_key(|(service, write)| !loses(service, write));
        let services = writes
            .into_iter()
            .map(|(_, write)| Write::ServiceAddresses(Box::new(write)));
        let pools = pools.objects.iter().filter_map(|(key, pool)| {
            let report = plan.pools.get(&key.name)?;
            unsaid(pool, report).map(Write::PoolConditions)
        });
        Decision {
            writes: services.chain(pools).collect(),
            again: None,
        }
    }

    fn written(&mut self, write: &Write) {
        if let Write::ServiceAddresses(write) = write {
            self.written
                .insert(write.service.key.clone(), (**write).clone());
        }
    }
}

fn show(service: &mut Service, written: &ServiceAddresses) {
    let status = service.status.get_or_insert_default();
    let balancer = status.load_balancer.get_or_insert_default();
    balancer.ingress = Some(written.ingress.clone());
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|c| c.type_ != REQUEST_SATISFIED);
    conditions.extend(written.condition.as_ref().map(as_read));
}

fn as_read(condition: &Condition) -> ServiceCondition {
    let since = condition.since.as_deref().and_then(|t| t.parse().ok());
    ServiceCondition {
        type_: condition.said.type_.to_owned(),
        status: condition.said.status.to_owned(),
        reason: condition.said.reason.to_owned(),
        message: condition.said.message.clone(),
        last_transition_time: Time(since.unwrap_or(Timestamp::UNIX_EPOCH)),
        observed_generation: None,
    }
}

/// `None` when the Service is as it should be.
fn differing(service: &Service, wanted: &Wanted) -> Option<ServiceAddresses> {
    let current = claim::condition(service);
    let same = match (current, &wanted.condition) {
        (None, None) => true,
        (Some(current), Some(said)) => {
            (
                current.status.as_str(),
                current.reason.as_str(),
                &current.message,
            ) == (said.status, said.reason, &said.message)
        }
        _ => false,
    };
    if same && claim::ingress(service) == wanted.ingress {
        return None;
    }
    let condition = wanted.condition.clone().map(|said| Condition {
        since: current
            .filter(|current| current.status == said.status)
            .map(|current| current.last_transition_time.0.to_string()),
        said,
    });
    Some(ServiceAddresses {
        service: Target::of(service),
        ingress: wanted.ingress.clone(),
        condition,
    })
}

fn loses(service: &Service, write: &ServiceAddresses) -> bool {
    let mut had = claim::ingress(service).iter();
    had.any(|entry| !write.ingress.contains(entry))
}

/// `None` when the pool says all of it.
fn unsaid(pool: &CiliumLoadBalancerIPPool, report: &Report) -> Option<PoolConditions> {
    let current: &[cilium_api::Condition] = pool.status.as_ref().map_or(&[], |s| &s.conditions);
    let find = |said: &Said| current.iter().find(|c| c.type_ == said.type_);
    let same = |said: &Said| {
        find(said).is_some_and(|c| {
            c.status == said.status
                && c.reason.as_deref() == Some(said.reason)
                && c.message.as_ref() == Some(&said.message)
        })
    };
    if report.conditions.iter().all(same) {
        return None;
    }
    let dated = |said: &Said| Condition {
        since: find(said)
            .filter(|c| c.status == said.status)
            .and_then(|c| c.last_transition_time.clone()),
        said: said.clone(),
    };
    Some(PoolConditions {
        pool: Target::of(pool),
        conditions: report.conditions.iter().map(dated).collect(),
    })
}

/// Addresses of Services that cannot be read: they may be in use.
fn elsewhere(services: &Snapshot<Service>) -> Vec<(Key, Ipv4Addr)> {
    let of = |(key, unreadable): (&Key, &Arc<Unreadable>)| -> Vec<(Key, Ipv4Addr)> {
        let ingress = unreadable.raw.pointer("/status/loadBalancer/ingress");
        let entries = ingress.and_then(|i| i.as_array()).into_iter().flatten();
        entries
            .filter_map(|entry| Some((key.clone(), entry["ip"].as_str()?.parse().ok()?)))
            .collect()
    };
    services.unreadable.iter().flat_map(of).collect()
}

/// What pools must keep off. Of a CiliumNode only the podCIDRs count, which cilium-operator gives: any address it names its own agent
/// may have written, and an address of a pool there would close the pool.
fn cluster<'a>(nodes: &'a Snapshot<Node>, ciliums: &'a Snapshot<CiliumNode>) -> Owned<Own<'a>> {
    let addresses = nodes.objects.iter().flat_map(|(key, node)| {
        let status = node.status.iter();
        let addresses = status.flat_map(|status| status.addresses.iter().flatten());
        addresses
            .filter(|address| ["InternalIP", "ExternalIP"].contains(&address.type_.as_str()))
            .filter_map(|address| address.address.parse::<Ipv4Addr>().ok())
            .map(|ip| (Span::from(ip), Own::Node(&key.name)))
    });
    let ranges = ciliums.objects.iter().flat_map(|(key, node)| {
        node.pod_cidrs()
            .map(|net| (Span::from(net), Own::Pods(&key.name)))
    });
    addresses.chain(ranges).collect()
}

#[cfg(test)]
mod tests;
