//! What people write into clusters.

use gloo_relay::{key::ObjectKey, session::Moment};
use serde_json::{Value, json};

use super::{
    api::{Api, key_of},
    random::Random,
};

/// The first is the management cluster.
pub(crate) const CLUSTERS: [&str; 5] = ["mgmt", "east", "north", "south", "west"];
/// Namespaces, each a workspace of its own over all clusters.
const PLACES: [&str; 2] = ["bank", "shop"];

const ADMIN: &str = "admin.gloo.solo.io/v2";

/// Something to be written.
#[derive(Debug)]
pub(crate) enum Order {
    Put(usize, Value),
    Remove(usize, ObjectKey),
}

/// Names are never used again, so that what goes has a reason or none.
#[derive(Debug)]
pub(crate) struct People {
    names: u64,
    random: Random,
}

fn object(api: &str, kind: &str, namespace: &str, name: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    if !spec.is_null() {
        object["spec"] = spec.clone();
    }
    object
}

/// Closed, and open to the other workspace or not.
fn settings(place: &str, closed: bool, open: bool) -> Value {
    let all = json!([{"workspaces": [{"name": "*"}]}]);
    let mut spec = json!({"options": {"serviceIsolation": {"enabled": closed}}});
    spec["importFrom"] = all.clone();
    if open {
        spec["exportTo"] = all;
    }
    object(ADMIN, "WorkspaceSettings", place, place, &spec)
}

impl People {
    pub(crate) fn new(random: Random) -> Self {
        Self { names: 0, random }
    }

    /// What there is before anything goes wrong.
    pub(crate) fn begin(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        for cluster in 0..CLUSTERS.len() {
            for place in PLACES.into_iter().chain(["kube-system", "gloo-mesh"]) {
                let namespace = object("v1", "Namespace", "", place, &Value::Null);
                orders.push(Order::Put(cluster, namespace));
                let mut own = object(
                    "cilium.io/v2",
                    "CiliumNetworkPolicy",
                    place,
                    "own",
                    &Value::Null,
                );
                own["spec"] = json!({"endpointSelector": {}, "ingress": [{}]});
                orders.push(Order::Put(cluster, own));
            }
            for place in PLACES {
                orders.push(self.service(cluster, place));
                orders.push(self.account(cluster, place));
            }
        }
        for place in PLACES {
            let clusters = json!([{"name": "*", "namespaces": [{"name": place}]}]);
            let spec = json!({"workloadClusters": clusters});
            let workspace = object(ADMIN, "Workspace", "gloo-mesh", place, &spec);
            orders.push(Order::Put(0, workspace));
            orders.push(Order::Put(0, settings(place, true, false)));
        }
        orders
    }

    fn name(&mut self) -> u64 {
        self.names += 1;
        self.names
    }

    fn service(&mut self, cluster: usize, place: &str) -> Order {
        let number = self.name();
        let spec = json!({"selector": {"app": format!("app-{number}")}, "ports": [{"port": 80}]});
        Order::Put(
            cluster,
            object("v1", "Service", place, &format!("s{number}"), &spec),
        )
    }

    fn account(&mut self, cluster: usize, place: &str) -> Order {
        let name = format!("a{}", self.name());
        Order::Put(
            cluster,
            object("v1", "ServiceAccount", place, &name, &Value::Null),
        )
    }

    fn pod(&mut self, cluster: usize, place: &str) -> Order {
        let name = format!("p{}", self.name());
        let spec = json!({"serviceAccountName": "default", "nodeName": "worker"});
        Order::Put(cluster, object("v1", "Pod", place, &name, &spec))
    }

    /// Lets some accounts reach a service.
    fn access(&mut self, cluster: usize, place: &str, apis: &[&Api]) -> Option<Order> {
        let service = self.any(apis[cluster], "Service")?;
        let other = self.random.index(apis.len());
        let account = self.any(apis[other], "ServiceAccount")?;
        let clients = json!([{"serviceAccountSelector": {"name": account.name(), "namespace": account.namespace()}}]);
        let spec = json!({
            "applyToDestinations": [{"selector": {"name": service.name()}}],
            "config": {"authzList": [{"allowedClients": clients}]},
        });
        let name = format!("access-{}", self.name());
        let policy = object(
            "security.policy.gloo.solo.io/v2",
            "AccessPolicy",
            place,
            &name,
            &spec,
        );
        Some(Order::Put(cluster, policy))
    }

    fn any(&mut self, api: &Api, kind: &str) -> Option<ObjectKey> {
        let all: Vec<_> = api
            .objects
            .keys()
            .filter(|key| key.kind() == kind)
            .collect();
        let at = (!all.is_empty()).then(|| self.random.index(all.len()))?;
        Some(all[at].clone())
    }

    /// One change of the usual kind.
    pub(crate) fn change(&mut self, apis: &[&Api]) -> Option<Order> {
        let cluster = self.random.index(apis.len());
        let place = PLACES[self.random.index(PLACES.len())];
        let crowded = apis[cluster].objects.len() > 60;
        let remove = |people: &mut Self, kind| {
            let key = people.any(apis[cluster], kind)?;
            Some(Order::Remove(cluster, key))
        };
        match self.random.below(11) {
            0..=2 if !crowded => Some(self.service(cluster, place)),
            3 if !crowded => Some(self.account(cluster, place)),
            4 if !crowded => Some(self.pod(cluster, place)),
            5 => self.access(cluster, place, apis),
            6 => remove(self, "AccessPolicy"),
            7 => remove(self, "ServiceAccount"),
            8 => remove(self, "Pod"),
            9 => Some(Order::Put(0, settings(place, true, self.random.once_in(2)))),
            _ => remove(self, "Service"),
        }
    }

    /// Everything of a workspace goes at once, or comes back.
    pub(crate) fn much(&mut self) -> Order {
        let place = PLACES[self.random.index(PLACES.len())];
        Order::Put(0, settings(place, self.random.once_in(2), false))
    }

    /// Somebody deletes or edits one of our policies by hand.
    pub(crate) fn meddle(&mut self, apis: &[&Api]) -> Option<Order> {
        let cluster = self.random.index(apis.len());
        let all: Vec<_> = apis[cluster].ours().collect();
        let at = (!all.is_empty()).then(|| self.random.index(all.len()))?;
        let (key, object) = all[at];
        if self.random.once_in(2) {
            return Some(Order::Remove(cluster, key.clone()));
        }
        let mut object = object.clone();
        object["spec"]["ingress"] = json!([]);
        Some(Order::Put(cluster, object))
    }
}

impl Order {
    pub(crate) fn key(&self) -> ObjectKey {
        match self {
            Self::Put(_, object) => key_of(object),
            Self::Remove(_, key) => key.clone(),
        }
    }

    pub(crate) fn cluster(&self) -> usize {
        let (Self::Put(cluster, _) | Self::Remove(cluster, _)) = self;
        *cluster
    }

    /// Does it. What is left of the object, if anything is.
    pub(crate) fn obey(self, now: Moment, api: &mut Api) -> Option<Value> {
        match self {
            Self::Put(_, mut object) => {
                let key = key_of(&object);
                // A status is a resource of its own.
                if let Some(status) = api.objects.get(&key).and_then(|there| there.get("status")) {
                    object["status"] = status.clone();
                }
                api.put(now, object);
                api.objects.get(&key).cloned()
            }
            Self::Remove(_, key) => {
                api.remove(now, &key);
                None
            }
        }
    }
}
