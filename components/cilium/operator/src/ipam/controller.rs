//! Reads CiliumNodes, plans, and writes podCIDRs, errors and events.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use cilium_api::{CiliumNode, names};
use ipnet::Ipv4Net;
use kube::{Resource, ResourceExt};
use tokio::sync::watch;

use super::{Claim, Owners, Verdict, plan, remember, taken};
use crate::{
    cache::{Key, Snapshot},
    controller::{Controller, Decision},
    metrics::{IpamGauges, Metrics},
    pool::Pool,
    seen::Unreadable,
    world::World,
    write::{Target, Write},
};

/// The duty.
#[derive(Debug)]
pub struct Ipam {
    pool: Pool,
    owners: Owners,
    metrics: Arc<Metrics>,
}

impl Ipam {
    /// Gives podCIDRs out of `pool`.
    pub fn new(pool: Pool, metrics: Arc<Metrics>) -> Self {
        Self {
            pool,
            owners: Owners::new(),
            metrics,
        }
    }

    fn gauges(&self, verdicts: &BTreeMap<String, Verdict>) -> IpamGauges {
        let exhausted = verdicts
            .values()
            .filter(|v| matches!(v, Verdict::Exhausted(_)))
            .count();
        let (total, free) = self.pool.blocks(&taken(verdicts));
        let per_block = self.pool.addresses_per_block();
        IpamGauges {
            nodes: verdicts.len(),
            nodes_without: exhausted,
            blocks_free: free,
            addresses_given: (total - free) * per_block,
            addresses_free: free * per_block,
        }
    }
}

impl Controller for Ipam {
    const NAME: &'static str = "cluster-pool-ipam";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![world.cilium_nodes.changes(), world.nodes.changes()]
    }

    fn decide(&mut self, world: &World, _now: Instant) -> Decision {
        let (ciliums, nodes) = (world.cilium_nodes.snapshot(), world.nodes.snapshot());
        // Before both lists are complete a block that looks free may have an owner.
        if !ciliums.synced || !nodes.synced {
            return Decision::default();
        }
        let claims: Vec<Claim> = ciliums.objects.values().map(|n| claim(n)).collect();
        let elsewhere: Vec<Ipv4Net> = ciliums
            .unreadable
            .values()
            .flat_map(|u| raw_cidrs(u))
            .collect();
        let existing = existing(&ciliums, &nodes);
        self.owners.retain(|node, _| existing.contains(node));
        let verdicts = plan(&claims, &self.pool, &self.owners, &elsewhere);
        remember(&mut self.owners, &verdicts, &existing);
        self.metrics.ipam(&self.gauges(&verdicts));
        let writes = ciliums
            .objects
            .values()
            .filter_map(|node| Some((node, verdicts.get(&node.name_any())?)));
        Decision {
            writes: writes
                .flat_map(|(node, verdict)| writes_for(node, verdict))
                .collect(),
            again: None,
        }
    }

    fn written(&mut self, write: &Write) {
        if let Write::PodCidrs { node, cidrs } = write {
            self.owners.insert(node.key.name.clone(), cidrs.clone());
        }
    }
}

fn existing<A, B>(ciliums: &Snapshot<A>, nodes: &Snapshot<B>) -> BTreeSet<String> {
    let names = |keys: Vec<&Key>| keys.into_iter().map(|k| k.name.clone()).collect::<Vec<_>>();
    let mut all = names(
        ciliums
            .objects
            .keys()
            .chain(ciliums.unreadable.keys())
            .collect(),
    );
    all.extend(names(
        nodes
            .objects
            .keys()
            .chain(nodes.unreadable.keys())
            .collect(),
    ));
    all.into_iter().collect()
}

fn claim(node: &CiliumNode) -> Claim {
    Claim {
        node: node.name_any(),
        cidrs: node.spec.ipam.pod_cidrs.clone(),
        ours: written_by_us(node),
        wish: node
            .annotations()
            .get(names::POD_CIDR_ANNOTATION)
            .and_then(|c| c.parse().ok()),
        created: node.creation_timestamp().map(|t| t.0),
    }
}

/// Whether the API server recorded cilium-operator as the manager of the podCIDRs.
fn written_by_us(node: &CiliumNode) -> bool {
    let pointer = "/f:spec/f:ipam/f:podCIDRs";
    node.managed_fields().iter().any(|entry| {
        entry.manager.as_deref() == Some(names::OPERATOR)
            && entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0.pointer(pointer).is_some())
    })
}

fn raw_cidrs(unreadable: &Unreadable) -> Vec<Ipv4Net> {
    let cidrs = unreadable
        .raw
        .pointer("/spec/ipam/podCIDRs")
        .and_then(|c| c.as_array());
    cidrs
        .into_iter()
        .flatten()
        .filter_map(|c| c.as_str()?.parse().ok())
        .collect()
}

fn writes_for(node: &CiliumNode, verdict: &Verdict) -> Vec<Write> {
    let event = |reason, note: &String| Write::Event {
        about: Box::new(node.object_ref(&())),
        reason,
        note: note.clone(),
    };
    let told = node
        .status
        .as_ref()
        .and_then(|s| s.ipam.operator_status.as_ref()?.error.clone())
        .filter(|e| !e.is_empty());
    let tell = |error: Option<String>| {
        (told != error).then(|| Write::IpamError {
            node: node.name_any(),
            error,
        })
    };
    match verdict {
        Verdict::Keep(_) => tell(None).into_iter().collect(),
        Verdict::Assign { cidrs, refused } => {
            let assign = Write::PodCidrs {
                node: Target::of(node),
                cidrs: cidrs.clone(),
            };
            let refusal = refused.as_ref().map(|note| event("PodCIDRRefused", note));
            [assign].into_iter().chain(refusal).collect()
        }
        Verdict::Exhausted(sentence) => {
            // The event goes with the change of the status, so that it is sent once.
            let told = tell(Some(sentence.clone()));
            let event = told
                .is_some()
                .then(|| event("PodCIDRPoolExhausted", sentence));
            told.into_iter().chain(event).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;
    use crate::seen::Seen;

    fn world(objects: &[Value]) -> World {
        let world = World::default();
        world.nodes.take(Event::InitDone);
        for object in objects {
            world.cilium_nodes.take(Event::InitApply(
                serde_json::from_value::<Seen<CiliumNode>>(object.clone()).unwrap(),
            ));
        }
        world.cilium_nodes.take(Event::InitDone);
        world
    }

    fn duty(pool: &str) -> Ipam {
        let pool = Pool::new(&[pool.parse().unwrap()], 24).unwrap();
        Ipam::new(pool, Arc::new(Metrics::default()))
    }

    fn node(name: &str) -> Value {
        json!({"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": {}})
    }

    fn sentences(decision: &Decision) -> Vec<String> {
        decision
            .writes
            .iter()
            .map(|w| format!("{}: {}", w.object(), w.sentence()))
            .collect()
    }

    #[test]
    fn nothing_is_given_before_every_list_is_complete() {
        let world = World::default();
        world
            .cilium_nodes
            .take(Event::Apply(serde_json::from_value(node("a")).unwrap()));
        world.nodes.take(Event::InitDone);
        assert!(
            duty("10.244.0.0/16")
                .decide(&world, Instant::now())
                .writes
                .is_empty()
        );
    }

    #[test]
    fn a_block_given_but_not_yet_seen_in_the_watch_is_not_given_to_another_node() {
        let mut duty = duty("10.244.0.0/16");
        let world = world(&[node("b")]);
        for write in duty.decide(&world, Instant::now()).writes {
            duty.written(&write);
        }
        world
            .cilium_nodes
            .take(Event::Apply(serde_json::from_value(node("a")).unwrap()));
        assert_eq!(
            sentences(&duty.decide(&world, Instant::now())),
            [
                "a: podCIDRs 10.244.1.0/24 given to the node",
                "b: podCIDRs 10.244.0.0/24 given to the node"
            ]
        );
    }

    #[test]
    fn a_node_that_gets_none_is_told_once_and_again_when_it_is_over() {
        let mut full = node("b");
        let holder =
            json!({"metadata": {"name": "a"}, "spec": {"ipam": {"podCIDRs": ["10.244.0.0/24"]}}});
        let sentence =
            "no podCIDR left in the cluster pool for node b; add a network to clusterPoolIPv4CIDRs";
        let told = sentences(
            &duty("10.244.0.0/24").decide(&world(&[holder.clone(), full.clone()]), Instant::now()),
        );
        assert_eq!(
            told,
            [
                format!("b: node told: {sentence}"),
                format!("b: event: {sentence}")
            ]
        );
        full["status"] = json!({"ipam": {"operator-status": {"error": sentence}}});
        assert!(
            duty("10.244.0.0/24")
                .decide(&world(&[holder, full.clone()]), Instant::now())
                .writes
                .is_empty()
        );
        full["spec"] = json!({"ipam": {"podCIDRs": ["10.244.0.0/24"]}});
        let cleared = sentences(&duty("10.244.0.0/24").decide(&world(&[full]), Instant::now()));
        assert_eq!(cleared, ["b: address error of the node cleared"]);
    }

    #[test]
    fn the_manager_of_the_field_tells_whose_claim_it_is() {
        let mut ours = node("a");
        let fields = json!({"f:spec": {"f:ipam": {"f:podCIDRs": {}}}});
        ours["metadata"]["managedFields"] =
            json!([{"manager": "cilium-operator", "fieldsV1": fields}]);
        let mut theirs = ours.clone();
        theirs["metadata"]["managedFields"][0]["manager"] = json!("cilium-agent");
        let by_us = [ours, theirs].map(|n| written_by_us(&serde_json::from_value(n).unwrap()));
        assert_eq!(by_us, [true, false]);
    }

    #[test]
    fn a_node_made_anew_gets_the_block_its_agent_still_runs_with() {
        let mut again = node("b");
        again["metadata"]["annotations"] =
            json!({"network.cilium.io/ipv4-pod-cidr": "10.244.7.0/24"});
        let decision = duty("10.244.0.0/16").decide(&world(&[node("a"), again]), Instant::now());
        assert_eq!(
            sentences(&decision),
            [
                "a: podCIDRs 10.244.0.0/24 given to the node",
                "b: podCIDRs 10.244.7.0/24 given to the node"
            ]
        );
    }

    #[test]
    fn the_block_of_an_object_nobody_can_read_is_not_given_away() {
        let broken = json!({"metadata": {"name": "x"}, "spec": {"addresses": 1, "ipam": {"podCIDRs": ["10.244.0.0/24"]}}});
        let decision = duty("10.244.0.0/16").decide(&world(&[broken, node("a")]), Instant::now());
        assert_eq!(
            sentences(&decision),
            ["a: podCIDRs 10.244.1.0/24 given to the node"]
        );
    }
}
