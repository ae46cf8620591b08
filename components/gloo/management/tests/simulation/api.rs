//! A cluster's API server: what is there, what happened, and who may write what.

use std::{collections::BTreeMap, fmt};

use gloo_mesh_agent::{
    kinds::{self, Watched},
    memory::Done,
    plan::{Found, Write},
    strip::strip,
};
use gloo_relay::{key::ObjectKey, session::Moment};
use serde_json::{Value, json};

/// What nobody but people touches. Said again here: the simulation does not believe the code it judges.
const PROTECTED: [&str; 3] = ["kube-system", "gloo-mesh", "gloonet-system"];
const OURS: [(&str, &str); 3] = [
    ("agent.gloo.solo.io", "gloo-mesh"),
    ("owner.gloo.solo.io/name", "gloo-mesh"),
    ("reconciler.mesh.gloo.solo.io/name", "translator"),
];

/// Something a watch tells.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Moment,
    pub(crate) key: ObjectKey,
    pub(crate) object: Value,
    pub(crate) gone: bool,
}

/// What an agent did to a policy.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Applied(ObjectKey),
    Removed(ObjectKey),
}

impl fmt::Display for Act {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied(key) => write!(out, "{key} applied"),
            Self::Removed(key) => write!(out, "{key} removed"),
        }
    }
}

/// The server.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) cluster: String,
    pub(crate) objects: BTreeMap<ObjectKey, Value>,
    pub(crate) journal: Vec<Event>,
    /// What agents did since somebody looked.
    pub(crate) acts: Vec<Act>,
    /// It answers nobody until then.
    pub(crate) away_until: Moment,
    version: u64,
}

pub(crate) fn watched(key: &ObjectKey) -> Option<Watched> {
    kinds::all().find(|kind| {
        let only = kind
            .only
            .is_none_or(|only| only == (key.namespace(), key.name()));
        kind.names(key) && only
    })
}

pub(crate) fn key_of(object: &Value) -> ObjectKey {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let metadata = &object["metadata"];
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    ObjectKey::new(&api, &kind, &namespace, &name).unwrap()
}

/// As the agent tells it.
pub(crate) fn told(object: &Value) -> Option<(ObjectKey, bytes::Bytes)> {
    let key = key_of(object);
    Some(strip(&watched(&key)?, object).unwrap())
}

pub(crate) fn is_policy(key: &ObjectKey) -> bool {
    key.kind() == "CiliumNetworkPolicy"
}

impl Api {
    pub(crate) fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            objects: BTreeMap::new(),
            journal: Vec::new(),
            acts: Vec::new(),
            away_until: Moment::ZERO,
            version: 0,
        }
    }

    /// Whether a policy has all labels of ours and of this cluster.
    pub(crate) fn is_ours(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let all = OURS.iter().all(|(label, value)| labels[*label] == **value);
        all && labels["relay.solo.io/cluster"] == *self.cluster
    }

    pub(crate) fn ours(&self) -> impl Iterator<Item = (&ObjectKey, &Value)> {
        let policies = self.objects.iter().filter(|(key, _)| is_policy(key));
        policies.filter(|(_, object)| self.is_ours(object))
    }

    /// Writes, and tells watches where that changes something.
    pub(crate) fn put(&mut self, now: Moment, mut object: Value) -> Found {
        let key = key_of(&object);
        let before = self.objects.get(&key);
        let kept = |field: &str| before.map(|before| before["metadata"][field].clone());
        for field in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
            if let Some(value) = kept(field) {
                object["metadata"][field] = value;
            }
        }
        if before != Some(&object) {
            self.version += 1;
            let version = self.version;
            if before.is_none() {
                object["metadata"]["uid"] = format!("u{version}").into();
                object["metadata"]["creationTimestamp"] =
                    format!("2026-01-01T00:00:00.{version:09}Z").into();
            }
            if before.is_none_or(|before| before["spec"] != object["spec"]) {
                let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
                object["metadata"]["generation"] = (generation + 1).into();
            }
            object["metadata"]["resourceVersion"] = version.to_string().into();
            self.tell(now, &key, &object, false);
            self.objects.insert(key.clone(), object);
        }
        found(&self.objects[&key])
    }

    pub(crate) fn remove(&mut self, now: Moment, key: &ObjectKey) -> Option<Value> {
        let object = self.objects.remove(key)?;
        self.tell(now, key, &object, true);
        Some(object)
    }

    fn tell(&mut self, at: Moment, key: &ObjectKey, object: &Value, gone: bool) {
        self.journal.push(Event {
            at,
            key: key.clone(),
            object: object.clone(),
            gone,
        });
    }

    /// An agent's write. The outer error is a broken invariant, the inner one the API server's answer.
    pub(crate) fn perform(
        &mut self,
        now: Moment,
        write: &Write,
    ) -> Result<Result<Done, String>, String> {
        self.may(write)?;
        if self.away_until > now {
            return Ok(Err("the API server did not answer in time".to_owned()));
        }
        Ok(Ok(match write {
            Write::Apply { key, object } => {
                let mut whole = json!({"apiVersion": "cilium.io/v2", "kind": key.kind()});
                whole["metadata"] = object["metadata"].clone();
                whole["spec"] = object["spec"].clone();
                let written = self.put(now, whole);
                self.acts.push(Act::Applied(key.clone()));
                Done::Written(written)
            }
            Write::Status { key, object } => match self.objects.get(key).cloned() {
                None => Done::Overtaken,
                Some(mut whole) => {
                    whole["status"] = object["status"].clone();
                    Done::Written(self.put(now, whole))
                }
            },
            Write::Delete { key, found: there } => match self.objects.get(key) {
                Some(object) if found(object) == *there => {
                    self.remove(now, key);
                    self.acts.push(Act::Removed(key.clone()));
                    Done::Written(there.clone())
                }
                _ => Done::Overtaken,
            },
        }))
    }

    /// Nothing but labelled policies outside of protected namespaces, and statuses.
    fn may(&self, write: &Write) -> Result<(), String> {
        let key = write.key();
        let there = self.objects.get(key);
        let wrong = |what: &str| Err(format!("an agent of {} {what} {key}", self.cluster));
        match write {
            Write::Status { object, .. } => {
                let fields = object.as_object().unwrap().keys();
                let allowed = ["apiVersion", "kind", "metadata", "status"];
                let status = fields
                    .into_iter()
                    .all(|field| allowed.contains(&field.as_str()));
                if status && key.api_version().contains("gloo.solo.io/") {
                    return Ok(());
                }
                wrong("writes more than the status of")
            }
            _ if !is_policy(key) => wrong("writes"),
            _ if PROTECTED.contains(&key.namespace()) => wrong("writes into a protected namespace"),
            _ if there.is_some_and(|there| !self.is_ours(there)) => wrong("touches somebody's own"),
            Write::Apply { object, .. } if !self.is_ours(object) => wrong("writes without labels"),
            Write::Apply { .. } | Write::Delete { .. } => Ok(()),
        }
    }
}

fn found(object: &Value) -> Found {
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    Found {
        uid: text("uid"),
        resource_version: text("resourceVersion"),
    }
}
