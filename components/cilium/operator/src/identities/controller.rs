//! Reads pods, namespaces, endpoints and identities; makes and removes identities.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use cilium_api::{CiliumEndpoint, CiliumIdentity, NumericIdentity, identity_labels, names};
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use tokio::sync::watch;

use super::claims::{Claims, about_pod};
use super::share::{FEW, KEPT, NUMBERS};
use super::{Allocator, Facts, Refused, Step};
use crate::{
    cache::{Key, Snapshot},
    controller::{Controller, Decision},
    metrics::Metrics,
    seen::Unreadable,
    world::World,
    write::{Target, Write},
};

/// The duty.
#[derive(Debug)]
pub struct Identities {
    cluster: String,
    allocator: Allocator,
    exhausted: bool,
    /// Namespaces that were told that they get no more numbers.
    told: BTreeSet<String>,
    claims: Claims,
    metrics: Arc<Metrics>,
}

impl Identities {
    /// Identities of the pods of `cluster`; unused ones go after `grace`.
    pub fn new(cluster: &str, grace: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            cluster: cluster.to_owned(),
            allocator: Allocator::new(grace),
            exhausted: false,
            told: BTreeSet::new(),
            claims: Claims::default(),
            metrics,
        }
    }
}

impl Controller for Identities {
    const NAME: &'static str = "identities";

    fn sources(&self, world: &World) -> Vec<watch::Receiver<u64>> {
        vec![
            world.pods.changes(),
            world.namespaces.changes(),
            world.identities.changes(),
            world.endpoints.changes(),
        ]
    }

    fn decide(&mut self, world: &World, now: Instant) -> Decision {
        let (identities, endpoints) = (world.identities.snapshot(), world.endpoints.snapshot());
        // A number that looks free may be in use.
        if !identities.synced || !endpoints.synced {
            return Decision::default();
        }
        let facts = facts(world, (&identities, &endpoints), &self.cluster);
        let step = self.allocator.step(&facts, now);
        let refused: usize = step.refused.values().map(|r| r.label_sets.len()).sum();
        self.metrics
            .identities(facts.existing.len(), step.without_number + refused);
        let again = step.again;
        let exhausted = self.tell_exhausted(&step);
        let refused = self.tell_refused(world, &step);
        let create = step
            .create
            .into_iter()
            .map(|(number, labels)| Write::CreateIdentity { number, labels });
        let delete = step.delete.iter().filter_map(|number| {
            let object = identities.objects.get(&Key::cluster(&number.to_string()))?;
            Some(Write::DeleteIdentity(Target::of(object.as_ref())))
        });
        let pods = world.pods.snapshot();
        let claims = self.claims.news(pods.objects.values().map(AsRef::as_ref));
        Decision {
            writes: create
                .chain(delete)
                .chain(exhausted)
                .chain(refused)
                .chain(claims)
                .collect(),
            again,
        }
    }

    fn written(&mut self, write: &Write) {
        match write {
            Write::CreateIdentity { number, labels } => {
                self.allocator.made(*number, labels.clone(), Instant::now());
            }
            Write::DeleteIdentity(_) => self.metrics.identity_removed(),
            _ => {}
        }
    }
}

impl Identities {
    /// One event when the numbers run out, not one per look.
    fn tell_exhausted(&mut self, step: &Step) -> Option<Write> {
        let newly = step.without_number > 0 && !self.exhausted;
        self.exhausted = step.without_number > 0;
        newly.then(|| Write::Event {
            about: Box::new(ObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: Some("Deployment".to_owned()),
                name: Some(names::OPERATOR.to_owned()),
                namespace: Some(names::NAMESPACE.to_owned()),
                ..ObjectReference::default()
            }),
            reason: "IdentitiesExhausted",
            note: format!(
                "all identities from 256 to 65535 are taken, {} label sets of pods have none; remove labels that differ from pod to pod",
                step.without_number
            ),
        })
    }
}

impl Identities {
    /// One event about a pod of each namespace that begins to get no more numbers.
    fn tell_refused(&mut self, world: &World, step: &Step) -> Vec<Write> {
        let told = std::mem::take(&mut self.told);
        self.told = step.refused.keys().cloned().collect();
        let new = step
            .refused
            .iter()
            .filter(|(name, _)| !told.contains(*name));
        new.filter_map(|(name, refused)| {
            let namespaces = world.namespaces.snapshot();
            let namespace = namespaces.objects.get(&Key::cluster(name))?;
            let pods = world.pods.snapshot();
            let without = pods.objects.iter().find(|(key, pod)| {
                let labels = || identity_labels(pod, namespace, &self.cluster);
                key.namespace == *name
                    && has_endpoint(pod)
                    && refused.label_sets.contains(&labels())
            });
            without.map(|(_, pod)| refusal(pod, name, refused))
        })
        .collect()
    }
}

fn refusal(pod: &Pod, namespace: &str, refused: &Refused) -> Write {
    Write::Event {
        about: Box::new(about_pod(pod)),
        reason: "NamespaceHasTooManyIdentities",
        note: format!(
            "the pods of namespace {namespace} hold {} of the cluster's {NUMBERS} identities, and the last {KEPT} are kept for namespaces with fewer than {FEW}: {} label sets of its pods, this one's among them, get none and are treated as reserved:init; remove labels that differ from pod to pod or change often",
            refused.held,
            refused.label_sets.len(),
        ),
    }
}

fn facts(
    world: &World,
    (identities, endpoints): (&Snapshot<CiliumIdentity>, &Snapshot<CiliumEndpoint>),
    cluster: &str,
) -> Facts {
    let (pods, namespaces) = (world.pods.snapshot(), world.namespaces.snapshot());
    let mut facts = Facts {
        complete: pods.complete() && namespaces.complete() && endpoints.complete(),
        ..Facts::default()
    };
    for pod in pods.objects.values().filter(|p| has_endpoint(p)) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        match namespaces.objects.get(&Key::cluster(namespace)) {
            Some(namespace) => {
                facts
                    .wanted
                    .insert(identity_labels(pod, namespace, cluster));
            }
            None => facts.complete = false,
        }
    }
    facts.existing = identities
        .objects
        .values()
        .filter_map(|i| Some((i.number()?, i.security_labels.clone())))
        .collect();
    facts.blocked = identities
        .unreadable
        .keys()
        .filter_map(|key| key.name.parse().ok())
        .collect();
    let identity = |e: &CiliumEndpoint| e.status.identity.as_ref()?.number();
    let read = endpoints.objects.values().filter_map(|e| identity(e));
    let unread = endpoints.unreadable.values().filter_map(|u| raw_number(u));
    facts.referenced = read
        .chain(unread)
        .filter(|n: &NumericIdentity| n.is_allocated())
        .collect();
    facts
}

fn raw_number(unreadable: &Unreadable) -> Option<NumericIdentity> {
    let number = unreadable.raw.pointer("/status/identity/id")?.as_u64()?;
    u32::try_from(number).ok().map(NumericIdentity)
}

/// Whether a pod has, or will have, an endpoint of this CNI.
pub(crate) fn has_endpoint(pod: &Pod) -> bool {
    let on_host = pod
        .spec
        .as_ref()
        .and_then(|s| s.host_network)
        .unwrap_or(false);
    let phase = pod
        .status
        .as_ref()
        .and_then(|s| s.phase.as_deref())
        .unwrap_or_default();
    !on_host && !matches!(phase, "Succeeded" | "Failed")
}

#[cfg(test)]
mod tests {
    use cilium_api::LabelSet;
    use kube::runtime::watcher::Event;
    use serde_json::{Value, json};

    use super::*;

    fn world(pods: &[Value], identities: &[Value]) -> World {
        let world = World::default();
        world.namespaces.take(Event::InitApply(
            serde_json::from_value(json!({"metadata": {"name": "shop"}})).unwrap(),
        ));
        world.namespaces.take(Event::InitDone);
        for pod in pods {
            world.pods.take(Event::InitApply(
                serde_json::from_value(pod.clone()).unwrap(),
            ));
        }
        world.pods.take(Event::InitDone);
        for identity in identities {
            world.identities.take(Event::InitApply(
                serde_json::from_value(identity.clone()).unwrap(),
            ));
        }
        world.identities.take(Event::InitDone);
        world.endpoints.take(Event::InitDone);
        world
    }

    fn pod(name: &str, app: &str) -> Value {
        json!({
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": app, "pod-template-hash": name}},
            "spec": {"containers": []}, "status": {"phase": "Running"},
        })
    }

    fn duty() -> Identities {
        Identities::new("west", Duration::ZERO, Arc::new(Metrics::default()))
    }

    #[test]
    fn pods_with_equal_labels_share_one_identity_and_those_without_endpoint_have_none() {
        let mut on_host = pod("h", "host");
        on_host["spec"]["hostNetwork"] = json!(true);
        let mut done = pod("d", "job");
        done["status"]["phase"] = json!("Succeeded");
        let decision = duty().decide(
            &world(&[pod("a", "web"), pod("b", "web"), on_host, done], &[]),
            Instant::now(),
        );
        let sentences: Vec<_> = decision
            .writes
            .iter()
            .map(|w| format!("{}: {}", w.object(), w.sentence()))
            .collect();
        assert_eq!(
            sentences,
            [
                "256: identity made for k8s:app=web,k8s:io.cilium.k8s.policy.cluster=west,\
              k8s:io.cilium.k8s.policy.serviceaccount=default,k8s:io.kubernetes.pod.namespace=shop"
            ]
        );
    }

    #[test]
    fn an_unreadable_pod_stops_the_removal_of_identities_but_not_the_making() {
        let old =
            json!({"metadata": {"name": "300", "uid": "u"}, "security-labels": {"k8s:app": "old"}});
        let broken = json!({"metadata": {"name": "x", "namespace": "shop"}, "spec": 1});
        let kinds = |world: &World| -> Vec<_> {
            duty()
                .decide(world, Instant::now())
                .writes
                .iter()
                .map(Write::kind)
                .collect()
        };
        assert_eq!(
            kinds(&world(&[pod("a", "web")], std::slice::from_ref(&old))),
            ["create_identity", "delete_identity"]
        );
        assert_eq!(
            kinds(&world(&[pod("a", "web"), broken], &[old])),
            ["create_identity"]
        );
    }

    #[test]
    fn nothing_is_made_before_the_identities_that_exist_and_those_in_use_are_known() {
        let begun = || {
            let world = World::default();
            let namespace = json!({"metadata": {"name": "shop"}});
            world
                .namespaces
                .take(Event::Apply(serde_json::from_value(namespace).unwrap()));
            world.pods.take(Event::Apply(
                serde_json::from_value(pod("a", "web")).unwrap(),
            ));
            world
        };
        let world = begun();
        world.endpoints.take(Event::InitDone);
        assert!(duty().decide(&world, Instant::now()).writes.is_empty());
        let world = begun();
        world.identities.take(Event::InitDone);
        assert!(duty().decide(&world, Instant::now()).writes.is_empty());
    }

    #[test]
    fn a_number_an_endpoint_has_is_given_to_nobody_also_when_it_cannot_be_read() {
        let readable = json!({"metadata": {"name": "e", "namespace": "shop"}, "status": {"identity": {"id": 256}}});
        let mut unreadable = readable.clone();
        unreadable["status"]["networking"] = json!(1);
        for endpoint in [readable, unreadable] {
            let world = world(&[pod("a", "web")], &[]);
            world.endpoints.take(Event::Init);
            let endpoint = serde_json::from_value(endpoint).unwrap();
            world.endpoints.take(Event::InitApply(endpoint));
            world.endpoints.take(Event::InitDone);
            let objects: Vec<_> = duty()
                .decide(&world, Instant::now())
                .writes
                .iter()
                .map(Write::object)
                .collect();
            assert_eq!(objects, ["257"]);
        }
    }

    #[test]
    fn a_namespace_that_gets_no_more_numbers_is_told_once_at_one_of_its_pods_and_others_get_theirs()
    {
        let world = world(&[pod("a", "web")], &[]);
        let other = json!({"metadata": {"name": "quiet"}});
        world
            .namespaces
            .take(Event::Apply(serde_json::from_value(other).unwrap()));
        let mut quiet = pod("b", "web");
        quiet["metadata"]["namespace"] = json!("quiet");
        world
            .pods
            .take(Event::Apply(serde_json::from_value(quiet).unwrap()));
        for number in 0..u32::try_from(NUMBERS - KEPT).unwrap() {
            let labels = LabelSet::from_iter([
                ("k8s:io.kubernetes.pod.namespace", "shop".to_owned()),
                ("k8s:app", number.to_string()),
            ]);
            let number = NumericIdentity(NumericIdentity::FIRST_ALLOCATED.0 + number);
            let identity = serde_json::to_value(CiliumIdentity::new(number, labels)).unwrap();
            world
                .identities
                .take(Event::Apply(serde_json::from_value(identity).unwrap()));
        }
        let mut duty =
            Identities::new("west", Duration::from_mins(9), Arc::new(Metrics::default()));
        let told = |decision: Decision| {
            let events = decision.writes.into_iter().filter_map(|write| match write {
                Write::Event { about, note, .. } => Some((about.name.unwrap(), note)),
                _ => None,
            });
            events.collect::<Vec<_>>()
        };
        let first = duty.decide(&world, Instant::now());
        let made = first.writes.iter().filter_map(|write| match write {
            Write::CreateIdentity { labels, .. } => labels.namespace(),
            _ => None,
        });
        assert_eq!(made.collect::<Vec<_>>(), ["quiet"]);
        let [(about, note)]: [_; 1] = told(first).try_into().unwrap();
        assert_eq!(about, "a");
        assert!(note.contains("namespace shop hold 48960 of"), "{note}");
        assert_eq!(told(duty.decide(&world, Instant::now())), []);
        let text = duty.metrics.text().unwrap();
        let counted = r#"cilium_operator_identity_gc_entries{status="without-number"} 1"#;
        assert!(text.contains(counted), "{text}");
    }
}
