//! A cluster in memory that does what steps say, and keeps score.

use std::collections::{BTreeMap, BTreeSet};

use gloonet_api::cilium::Rollout;
use gloonet_catalog::{ComponentId, Health, SecretKind, SecretSpec};
use kube_core::DynamicObject;
use serde_json::json;

use crate::{
    Desired, DesiredComponent, DesiredObject, Entry, Fingerprint, Intent, Inventory, Live,
    LiveObject, NeededSecret, ObjectKey, Plan, SecretCondition, Step, lint, plan,
    progress::deadline,
};

pub(super) const KINDS: [(&str, &str); 5] = [
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "Namespace"),
    ("apps", "Deployment"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
];

/// `ConfigMap/redis=1` is a ConfigMap of that name whose content is `1`.
pub(crate) fn object(text: &str) -> DesiredObject {
    let (path, content) = text.split_once('=').unwrap();
    let (kind, name) = path.split_once('/').unwrap();
    let group = KINDS.iter().find(|(_, known)| *known == kind).unwrap().0;
    let api_version = if group.is_empty() {
        "v1".to_owned()
    } else {
        format!("{group}/v1")
    };
    let body: DynamicObject = serde_json::from_value(
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": "gloo-mesh"}, "data": {"content": content}}),
    )
    .unwrap();
    DesiredObject::new(body).unwrap()
}

pub(super) fn component(
    id: ComponentId,
    needs: &[ComponentId],
    objects: &[&str],
) -> DesiredComponent {
    DesiredComponent {
        id,
        needs: needs.to_vec(),
        intent: Intent::Wanted,
        objects: Ok(objects.iter().map(|text| object(text)).collect()),
        secrets: Vec::new(),
        health: Health::progressing("not there yet"),
        deadline: deadline(id, &Rollout::default()),
        stuck: false,
    }
}

pub(super) fn password(name: &str) -> NeededSecret {
    let kind = SecretKind::Password {
        username: "admin".to_owned(),
        length: 32,
    };
    let spec = SecretSpec {
        namespace: "gloo-mesh".to_owned(),
        name: name.to_owned(),
        kind,
    };
    NeededSecret {
        spec,
        condition: SecretCondition::Missing,
    }
}

/// Trust, then Redis and Prometheus, then the gateway.
pub(super) fn platform() -> Desired {
    let mut trust = component(ComponentId::Trust, &[], &[]);
    trust.secrets = vec![password("redis-auth")];
    let stores = &[ComponentId::Redis, ComponentId::Prometheus];
    Desired {
        components: vec![
            component(
                ComponentId::Gateway,
                stores,
                &["ConfigMap/gateway=1", "Deployment/gateway=1"],
            ),
            trust,
            component(
                ComponentId::Redis,
                &[ComponentId::Trust],
                &["ConfigMap/redis=1", "Deployment/redis=1"],
            ),
            component(
                ComponentId::Prometheus,
                &[ComponentId::Trust],
                &["Deployment/prometheus=1"],
            ),
        ],
    }
}

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) live: Live,
    pub(super) inventory: Inventory,
    pub(super) bodies: BTreeMap<ObjectKey, Fingerprint>,
    pub(super) deleted: Vec<ObjectKey>,
    pub(super) released: bool,
    uids: usize,
}

impl World {
    pub(super) fn new() -> Self {
        let read: BTreeSet<_> = KINDS
            .iter()
            .map(|(group, kind)| {
                (
                    (*group).to_owned(),
                    (*kind).to_owned(),
                    Some("gloo-mesh".to_owned()),
                )
            })
            .collect();
        Self {
            live: Live {
                read,
                ..Live::default()
            },
            ..Self::default()
        }
    }

    /// Plans, has the plan checked, and runs it.
    pub(super) fn reconcile(&mut self, desired: &Desired) -> Plan {
        let made = plan(desired, &self.live, &self.inventory).unwrap();
        assert_eq!(
            lint::lint(&made.steps, desired, &self.live, &self.inventory),
            Ok(()),
            "{:#?}",
            made.steps
        );
        made.steps.iter().for_each(|step| self.run(step));
        made
    }

    pub(super) fn run(&mut self, step: &Step) {
        match step {
            Step::Apply {
                component, object, ..
            } => self.write(component.as_str(), &object.key, &object.fingerprint),
            Step::EnsureSecret {
                component, spec, ..
            } => {
                let key = ObjectKey::secret(&spec.namespace, &spec.name);
                self.write(component.as_str(), &key, &Fingerprint::of(&json!("secret")));
            }
            Step::Delete { key, uid, .. } => {
                assert_eq!(&self.live.objects[key].uid, uid);
                self.live.objects.remove(key);
                self.deleted.push(key.clone());
            }
            Step::Forget { key, .. } => {
                self.inventory.entries.remove(key);
            }
            Step::Release => self.released = true,
        }
    }

    fn write(&mut self, component: &str, key: &ObjectKey, desired: &Fingerprint) {
        let uid = self.live.get(key).map_or_else(
            || {
                self.uids += 1;
                format!("uid-{}", self.uids)
            },
            |found| found.uid.clone(),
        );
        let entry = Entry {
            component: component.to_owned(),
            uid: uid.clone(),
            desired: desired.clone(),
            live: desired.clone(),
        };
        self.inventory.entries.insert(key.clone(), entry);
        self.live.objects.insert(
            key.clone(),
            LiveObject {
                uid,
                fingerprint: desired.clone(),
                deleting: false,
                version: 0,
            },
        );
        self.bodies.insert(key.clone(), desired.clone());
    }

    /// Everything applied turns healthy, and Secrets that exist are complete.
    pub(super) fn settle(&self, desired: &mut Desired) {
        for component in &mut desired.components {
            for secret in &mut component.secrets {
                let there = self.live.get(&secret.key()).is_some();
                secret.condition = if there {
                    SecretCondition::Complete
                } else {
                    SecretCondition::Missing
                };
            }
            let there = component
                .keys()
                .iter()
                .all(|key| self.live.get(key).is_some());
            component.health = if there {
                Health::healthy("")
            } else {
                Health::progressing("")
            };
        }
    }

    /// Reconciles until nothing is left to do; the number of rounds.
    pub(super) fn converge(&mut self, desired: &mut Desired) -> usize {
        for round in 0..30 {
            self.settle(desired);
            if self.reconcile(desired).steps.is_empty() {
                return round;
            }
        }
        panic!("no end of work: {:#?}", self.reconcile(desired).steps);
    }

    /// Somebody edits an object.
    pub(super) fn edit(&mut self, key: &ObjectKey) {
        self.live.objects.get_mut(key).unwrap().fingerprint = Fingerprint::of(&json!("edited"));
    }
}
