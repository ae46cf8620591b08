//! All clusters: what is known of each, and what each is to have. Pure; the clock comes in as an argument.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use gloo_api::{Approval, ClusterName};
use gloo_relay::{
    digest::Digest,
    key::{KeyError, ObjectKey},
    table::{Changes, OBJECT_BYTES, Objects},
};
use gloo_store::Unsaved;
use gloo_translate::{
    Delta, PolicyKey, Translator, World,
    verdict::{Status, Subject},
    world::Place,
};
use jiff::SignedDuration;
use serde_json::json;

use crate::{decode, flows::Flows};

/// A KubernetesCluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registration {
    pub labels: BTreeMap<String, String>,
    pub skip_warming: bool,
    pub generation: i64,
    /// A mass removal somebody confirmed.
    pub confirmed: Option<String>,
    /// Whether an agent ever enrolled under the name.
    pub enrolled: bool,
}

/// What an agent is connected as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The stream's number.
    pub stream: u64,
    /// Of its certificate; below the cluster's own: revoked.
    pub epoch: u64,
    /// Of its certificate, too; another than the cluster's own: the name is somebody else's now.
    pub cluster_uid: String,
    /// It has sent all it has.
    pub warmed: bool,
    pub since: jiff::Timestamp,
}

/// What an agent says of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    pub message: String,
    /// It is as desired; the message is a remark.
    pub applied: bool,
}

/// Removals that wait for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub removed: usize,
    pub digest: Digest,
}

/// One cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    pub registration: Option<Registration>,
    /// What it has, as far as it is known.
    pub objects: Objects,
    /// Whether `objects` is a state it was really in, rather than nothing heard.
    pub known: bool,
    pub connection: Option<Connection>,
    /// Last word of it, by this replica's clock.
    pub heard: Option<jiff::Timestamp>,
    /// What the translation wants.
    pub wanted: Objects,
    /// What is pushed; `None`: nothing was decided yet.
    pub desired: Option<Objects>,
    /// Policies there were when the budget of removals was last full.
    pub baseline: Option<(jiff::Timestamp, BTreeSet<ObjectKey>)>,
    /// Removals held here.
    pub held: Option<Held>,
    /// Removals wait, for this reason.
    pub waits: Option<String>,
    /// Since when this is what Redis has of it, too, or what another replica wrote there.
    pub agreed: Option<jiff::Timestamp>,
    /// What its agent says of desired objects.
    pub said: BTreeMap<ObjectKey, Said>,
    pub agent_held: Option<String>,
    pub kill_switch: bool,
    /// Changed since it was last written to the store; `None`: all of it.
    pub unsaved: Unsaved,
}

/// Everything.
#[derive(Debug)]
pub struct State {
    pub home: ClusterName,
    pub translator: Translator,
    pub clusters: BTreeMap<ClusterName, Cluster>,
    /// Objects that cannot be read, and why. The last readable version stays in force.
    pub unreadable: BTreeMap<(ClusterName, ObjectKey), String>,
    /// Policies that would be too large to hand over, and their bytes. The version before stays in force.
    pub too_large: BTreeMap<PolicyKey, usize>,
    pub safe_mode: bool,
    /// All that the output depends on was known once. Who enrols later took no part in the output before, and holds nobody up.
    warm: bool,
    /// What dry runs are held against.
    pub flows: Flows,
}

const ADMIN: &str = "admin.gloo.solo.io/v2";
const SECURITY: &str = "security.policy.gloo.solo.io/v2";

impl State {
    pub fn new(home: ClusterName, safe_mode: bool) -> Self {
        let translator = Translator::new(World::new(home.clone()));
        Self {
            home,
            translator,
            clusters: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            too_large: BTreeMap::new(),
            safe_mode,
            warm: false,
            flows: Flows::default(),
        }
    }

    /// A KubernetesCluster came, changed or went.
    pub fn register(&mut self, name: &ClusterName, registration: Option<Registration>) {
        let labels = registration.as_ref().map(|given| given.labels.clone());
        self.translator.register(name, labels);
        let cluster = self.clusters.entry(name.clone()).or_default();
        cluster.registration = registration;
    }

    /// Takes changes of what a cluster has. A full snapshot's changes are against what was known.
    pub fn observe(&mut self, name: &ClusterName, changes: &Changes) {
        for key in &changes.deletes {
            self.forget(name, key);
        }
        for (key, bytes) in &changes.upserts {
            self.keep(name, key, bytes);
        }
        let cluster = self.clusters.entry(name.clone()).or_default();
        cluster.known = true;
        let keys = changes
            .deletes
            .iter()
            .chain(changes.upserts.iter().map(|(key, _)| key));
        match &mut cluster.unsaved {
            Unsaved::All => {}
            Unsaved::Keys(unsaved) => unsaved.extend(keys.cloned()),
            Unsaved::Nothing => cluster.unsaved = Unsaved::Keys(keys.cloned().collect()),
        }
    }

    /// Takes all a cluster has from the store. What an agent of it said here counts more.
    pub fn restore(&mut self, name: &ClusterName, objects: Objects) {
        let gone: Vec<_> = {
            let cluster = self.clusters.entry(name.clone()).or_default();
            let there = cluster.objects.keys();
            there
                .filter(|key| !objects.contains_key(*key))
                .cloned()
                .collect()
        };
        let changes = Changes {
            upserts: objects.into_iter().collect(),
            deletes: gone,
        };
        self.observe(name, &changes);
        if let Some(cluster) = self.clusters.get_mut(name) {
            cluster.unsaved = Unsaved::Nothing;
            // Its agent is another replica's now, which it told what became of desired objects.
            cluster.said.clear();
            cluster.agent_held = None;
            cluster.kill_switch = false;
            cluster.held = None;
            cluster.waits = None;
            cluster.desired = None;
        }
    }

    fn forget(&mut self, name: &ClusterName, key: &ObjectKey) {
        let cluster = self.clusters.entry(name.clone()).or_default();
        cluster.objects.remove(key);
        self.unreadable.remove(&(name.clone(), key.clone()));
        if let Some(kind) = decode::kind(key) {
            let place = decode::place(name, key, kind);
            self.translator.remove(&place, kind);
        }
    }

    fn keep(&mut self, name: &ClusterName, key: &ObjectKey, bytes: &Bytes) {
        let cluster = self.clusters.entry(name.clone()).or_default();
        cluster.objects.insert(key.clone(), bytes.clone());
        let Some(kind) = decode::kind(key) else {
            return;
        };
        let id = (name.clone(), key.clone());
        match decode::object(kind, bytes) {
            Ok(object) => {
                self.unreadable.remove(&id);
                self.translator.put(&decode::place(name, key, kind), object);
            }
            Err(error) => {
                let why = decode::sentence(&error.to_string());
                tracing::warn!(cluster = %name, object = %key, reason = why, "an object cannot be read and is left as it was");
                self.unreadable.insert(id, why);
            }
        }
    }

    /// Computes what changed; the clusters it concerns.
    pub fn settle(&mut self) -> BTreeSet<ClusterName> {
        self.warm = self.cold().is_none();
        let delta = self.translator.settle();
        let mut touched = BTreeSet::new();
        let Delta { rules, statuses } = delta;
        for (key, rule) in rules {
            let cluster = key.slot.cluster.clone();
            let object = rule.map(|rule| rule.manifest(&key).to_string());
            if self.measure(&key, object.as_ref().map_or(0, String::len)) {
                // The resource it comes from may be anywhere.
                touched.extend(self.clusters.keys().cloned());
            }
            self.want(&cluster, policy_key(&key), object);
            touched.insert(cluster);
        }
        for (subject, status) in statuses {
            let cluster = place_of(&subject).slot.cluster.clone();
            let object = status.map(|status| status_object(&subject, &status));
            let key = status_key(&subject);
            self.want(&cluster, key, object);
            touched.insert(cluster);
        }
        touched
    }

    /// Whether a policy became too large, or is that no longer.
    fn measure(&mut self, key: &PolicyKey, bytes: usize) -> bool {
        if bytes <= OBJECT_BYTES {
            return self.too_large.remove(key).is_some();
        }
        self.too_large.insert(key.clone(), bytes) != Some(bytes)
    }

    fn want(
        &mut self,
        cluster: &ClusterName,
        key: Result<ObjectKey, KeyError>,
        object: Option<String>,
    ) {
        let wanted = &mut self.clusters.entry(cluster.clone()).or_default().wanted;
        let Ok(key) = key else {
            tracing::error!(%cluster, "an object of the output has no valid name and is left out");
            return;
        };
        match object {
            Some(json) if json.len() <= OBJECT_BYTES => {
                wanted.insert(key, Bytes::from(json));
            }
            Some(json) => {
                tracing::error!(%cluster, object = %key, bytes = json.len(), "an object of the output is too large; the version before stays");
            }
            None => drop(wanted.remove(&key)),
        }
    }

    /// The translation's status of a resource, changed: what is pushed in its place.
    pub(crate) fn restated(
        &self,
        subject: &Subject,
        change: impl FnOnce(&mut Status),
    ) -> Option<(ObjectKey, Bytes)> {
        let mut status = self.translator.status(subject)?.clone();
        change(&mut status);
        let object = status_object(subject, &status);
        Some((status_key(subject).ok()?, Bytes::from(object)))
    }

    /// Why nothing may be pushed to anybody yet; `None`: all that the output depends on is known.
    pub fn cold(&self) -> Option<String> {
        if self.warm {
            return None;
        }
        let unknown = |name: &ClusterName| !self.clusters.get(name).is_some_and(|c| c.known);
        if unknown(&self.home) {
            return Some(format!(
                "nothing was heard from the management cluster {} yet, where the workspaces are",
                self.home
            ));
        }
        if !self.safe_mode {
            return None;
        }
        let waiting: Vec<_> = self
            .clusters
            .iter()
            .filter(|(name, cluster)| {
                let registered = cluster.registration.as_ref();
                registered.is_some_and(|given| given.enrolled && !given.skip_warming)
                    && unknown(name)
            })
            .map(|(name, _)| name.as_str())
            .collect();
        (!waiting.is_empty()).then(|| {
            format!(
                "safe mode: nothing was heard from {} since the store was lost; set skipWarming in a KubernetesCluster that will not come back",
                waiting.join(", ")
            )
        })
    }
}

/// How long another replica's word may take until it is in Redis.
const WRITTEN: SignedDuration = SignedDuration::from_secs(15);
/// How long ago Redis may have been seen to agree. It is looked at every two seconds.
const SEEN: SignedDuration = SignedDuration::from_secs(6);

impl State {
    /// Why what is known of the clusters may be older than what `name` was last given. Another replica may know more, and have given
    /// it more: what is made of less removes nothing. A connection is no proof: its agent may have moved, and only Redis tells.
    pub fn behind(&self, name: &ClusterName, now: jiff::Timestamp) -> Option<String> {
        let since = self.clusters.get(name)?.connection.as_ref()?.since;
        let first = (since + WRITTEN).max(now - SEEN);
        let late = |cluster: &Cluster| {
            let given = cluster.registration.as_ref();
            let counts = given.is_some_and(|given| given.enrolled && !given.skip_warming);
            counts && cluster.agreed.is_none_or(|agreed| agreed < first)
        };
        let late = self.clusters.iter().filter(|(_, cluster)| late(cluster));
        let names: Vec<_> = late.map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| {
            format!(
                "other replicas may know more of {}, which Redis tells within half a minute",
                names.join(", ")
            )
        })
    }
}

/// Where a resource is, and its group, version and kind.
pub(crate) fn subject(subject: &Subject) -> (&Place, String) {
    let (place, api, kind) = kind_of(subject);
    (place, format!("{api}/{kind}"))
}

/// Where a resource is.
pub(crate) fn place_of(subject: &Subject) -> &Place {
    kind_of(subject).0
}

pub(crate) fn status_key(subject: &Subject) -> Result<ObjectKey, KeyError> {
    let (place, api, kind) = kind_of(subject);
    ObjectKey::new(api, kind, &place.slot.namespace, &place.name)
}

pub(crate) fn policy_key(key: &PolicyKey) -> Result<ObjectKey, KeyError> {
    let namespace = &key.slot.namespace;
    ObjectKey::new("cilium.io/v2", "CiliumNetworkPolicy", namespace, &key.name)
}

fn kind_of(subject: &Subject) -> (&Place, &'static str, &'static str) {
    match subject {
        Subject::Workspace(place) => (place, ADMIN, "Workspace"),
        Subject::Settings(place) => (place, ADMIN, "WorkspaceSettings"),
        Subject::Policy(place) => (place, SECURITY, "AccessPolicy"),
        Subject::Dashboard(place) => (place, ADMIN, "Dashboard"),
    }
}

/// The resource with nothing but its names and its status.
pub(crate) fn status_object(subject: &Subject, status: &Status) -> String {
    let (place, api, kind) = kind_of(subject);
    let status = match status {
        Status::Workspace(status) => json!(status),
        Status::Settings(status) => json!(status),
        Status::Policy(status) => json!(status),
        Status::Dashboard(status) => json!(status),
    };
    json!({
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": place.name, "namespace": place.slot.namespace},
        "status": status,
    })
    .to_string()
}

/// The status of a Gloo resource that cannot be read.
pub fn unreadable(key: &ObjectKey, why: &str) -> Bytes {
    let object = json!({
        "apiVersion": key.api_version(),
        "kind": key.kind(),
        "metadata": {"name": key.name(), "namespace": key.namespace()},
        "status": {"common": {"State": {
            "observedGeneration": 0,
            "approval": Approval::Invalid.as_str(),
            "message": format!("it cannot be read, and the last version that could stays in force: {why}"),
        }}},
    });
    Bytes::from(object.to_string())
}
