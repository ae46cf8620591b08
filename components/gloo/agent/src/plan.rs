//! Desired and found in, writes out. Pure: the budget, the switch and the refusals are all decided here.

use std::collections::{BTreeMap, BTreeSet};

use gloo_relay::{
    budget::{Judgement, MassRemoval},
    digest::Digest,
    key::ObjectKey,
    table::Objects,
};
use serde_json::Value;

use crate::{
    admit::{Admitted, admit},
    control::Control,
    floor,
};

/// An object as the cluster has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    pub uid: String,
    pub resource_version: String,
}

/// What was written last, and what the cluster had right after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub desired: bytes::Bytes,
    pub found: Found,
}

const OWN: &str = "a policy of this name is the cluster's own, without our labels, and stays as it is; delete or rename it to have the desired one";

/// Everything a plan depends on.
#[derive(Debug)]
pub struct World<'a> {
    pub cluster: &'a str,
    /// `None`: what is desired is not known. Then nothing is done at all.
    pub desired: Option<&'a Objects>,
    pub found: &'a BTreeMap<ObjectKey, Found>,
    /// UIDs of the resources whose statuses may be desired.
    pub uids: &'a BTreeMap<ObjectKey, String>,
    /// Policies of the cluster that are not ours, by namespace and name.
    pub local: &'a BTreeMap<(String, String), Value>,
    pub written: &'a BTreeMap<ObjectKey, Written>,
    /// Our policies when the budget of removals was last full.
    pub before: &'a BTreeSet<ObjectKey>,
    /// `None`: the local administrator's word was not heard yet. The switch may be on, and nothing is written or removed.
    pub control: Option<&'a Control>,
    /// The server is there and serves this agent: only then is anything removed.
    pub live: bool,
}

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    Apply { key: ObjectKey, object: Value },
    Status { key: ObjectKey, object: Value },
    Delete { key: ObjectKey, found: Found },
}

impl Write {
    pub fn key(&self) -> &ObjectKey {
        let (Self::Apply { key, .. } | Self::Status { key, .. } | Self::Delete { key, .. }) = self;
        key
    }
}

/// What is to be done and said.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    pub writes: Vec<Write>,
    /// Per object, why it is not as desired.
    pub errors: BTreeMap<ObjectKey, String>,
    /// Per object that is applied, what to know about it.
    pub remarks: BTreeMap<ObjectKey, String>,
    pub held: Option<(usize, Digest)>,
    /// Without the local administrator's confirmation the removals would be held.
    pub confirmed: bool,
}

/// Decides.
pub fn plan(world: &World<'_>, budget: MassRemoval) -> Plan {
    let mut plan = Plan::default();
    let Some(desired) = world.desired else {
        return plan;
    };
    let mut wanted = BTreeSet::new();
    for (key, bytes) in desired {
        match admit(world.cluster, key, bytes) {
            Err(refused) => drop(plan.errors.insert(key.clone(), refused.to_string())),
            Ok(Admitted::Policy(_)) if is_local(world, key) => {
                plan.errors.insert(key.clone(), OWN.to_owned());
            }
            Ok(admitted) => {
                let status = matches!(admitted, Admitted::Status(_));
                if let Admitted::Policy(object) = &admitted {
                    note_floor(world, key, object, &mut plan.remarks);
                }
                if !current(world, key, bytes, status) {
                    plan.writes.push(write(key, admitted));
                }
            }
        }
        // A refused object is still one somebody desires: what the cluster has of it is not removed for that.
        wanted.insert(key.clone());
    }
    if world.live {
        remove(world, &wanted, budget, &mut plan);
    }
    if world.control.is_none_or(|control| control.kill_switch) {
        plan.writes.clear();
    }
    plan
}

/// Whether somebody else's policy has the name. Forced into ours, it would no longer deny what it denies.
fn is_local(world: &World<'_>, key: &ObjectKey) -> bool {
    let place = (key.namespace().to_owned(), key.name().to_owned());
    world.local.contains_key(&place)
}

fn write(key: &ObjectKey, admitted: Admitted) -> Write {
    let key = key.clone();
    match admitted {
        Admitted::Policy(object) => Write::Apply { key, object },
        Admitted::Status(object) => Write::Status { key, object },
    }
}

/// Whether what is desired was written, and nobody wrote since.
fn current(world: &World<'_>, key: &ObjectKey, bytes: &bytes::Bytes, status: bool) -> bool {
    let Some(written) = world.written.get(key) else {
        return false;
    };
    let untouched = if status {
        // Another resource of the name, made since, has no status yet.
        let uid = world.uids.get(key);
        uid.is_none_or(|uid| *uid == written.found.uid)
    } else {
        let found = world.found.get(key);
        found.is_some_and(|found| found.resource_version == written.found.resource_version)
    };
    written.desired == bytes && untouched
}

fn note_floor(
    world: &World<'_>,
    key: &ObjectKey,
    object: &Value,
    remarks: &mut BTreeMap<ObjectKey, String>,
) {
    let local = world
        .local
        .iter()
        .filter(|((namespace, _), _)| namespace == key.namespace())
        .map(|((_, name), policy)| (name.as_str(), policy));
    let denying = floor::denying(object, local);
    if !denying.is_empty() {
        let names = denying.join(", ");
        remarks.insert(
            key.clone(),
            format!("denies of this cluster's own policies come first: {names}"),
        );
    }
}

fn remove(world: &World<'_>, wanted: &BTreeSet<ObjectKey>, budget: MassRemoval, plan: &mut Plan) {
    let confirmed = world
        .control
        .and_then(|control| control.confirm_removal.as_deref().and_then(digest));
    match budget.judge(world.before, wanted, confirmed) {
        Judgement::Hold { removed, digest } => plan.held = Some((removed, digest)),
        Judgement::Proceed => {
            let alone = budget.judge(world.before, wanted, None);
            plan.confirmed = alone != Judgement::Proceed;
            let extra = world.found.iter().filter(|(key, _)| !wanted.contains(*key));
            plan.writes.extend(extra.map(|(key, found)| Write::Delete {
                key: key.clone(),
                found: found.clone(),
            }));
        }
    }
}

fn digest(text: &str) -> Option<Digest> {
    let pairs = text.as_bytes().as_chunks::<2>().0;
    let bytes = pairs.iter().map(|pair| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    });
    Digest::from_bytes(&bytes.collect::<Option<Vec<_>>>()?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admit::tests::labels;

    fn key(name: usize) -> ObjectKey {
        ObjectKey::new(
            "cilium.io/v2",
            "CiliumNetworkPolicy",
            "shop",
            &format!("p{name}"),
        )
        .unwrap()
    }

    fn policy(name: usize) -> bytes::Bytes {
        let object = json!({
            "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
            "metadata": {"name": format!("p{name}"), "namespace": "shop", "labels": labels()},
            "spec": {"endpointSelector": {"matchLabels": {"app": "web"}}},
        });
        object.to_string().into()
    }

    /// A cluster with ten policies of ours, all as they were desired.
    struct Cluster {
        desired: Option<Objects>,
        found: BTreeMap<ObjectKey, Found>,
        uids: BTreeMap<ObjectKey, String>,
        written: BTreeMap<ObjectKey, Written>,
        local: BTreeMap<(String, String), Value>,
        before: BTreeSet<ObjectKey>,
        control: Option<Control>,
        live: bool,
    }

    impl Cluster {
        fn new() -> Self {
            let found = |name| Found {
                uid: format!("u{name}"),
                resource_version: "1".to_owned(),
            };
            let written = |name| Written {
                desired: policy(name),
                found: found(name),
            };
            Self {
                desired: Some((0..10).map(|name| (key(name), policy(name))).collect()),
                found: (0..10).map(|name| (key(name), found(name))).collect(),
                uids: BTreeMap::new(),
                written: (0..10).map(|name| (key(name), written(name))).collect(),
                local: BTreeMap::new(),
                before: (0..10).map(key).collect(),
                control: Some(Control::default()),
                live: true,
            }
        }

        fn desire(&mut self, names: std::ops::Range<usize>) {
            self.desired = Some(names.map(|name| (key(name), policy(name))).collect());
        }

        fn confirm(&mut self, digest: Digest) {
            self.control = Some(Control {
                confirm_removal: Some(digest.to_string()),
                ..Control::default()
            });
        }

        fn plan(&self) -> Plan {
            let world = World {
                cluster: "west",
                desired: self.desired.as_ref(),
                found: &self.found,
                uids: &self.uids,
                local: &self.local,
                written: &self.written,
                before: &self.before,
                control: self.control.as_ref(),
                live: self.live,
            };
            plan(&world, MassRemoval::default())
        }
    }

    #[test]
    fn nothing_is_done_where_all_is_as_desired() {
        assert_eq!(Cluster::new().plan(), Plan::default());
    }

    #[test]
    fn what_is_not_known_removes_nothing() {
        let mut cluster = Cluster::new();
        cluster.desired = None;
        assert_eq!(cluster.plan(), Plan::default());
    }

    #[test]
    fn an_empty_desired_state_is_held_until_it_is_confirmed() {
        let mut cluster = Cluster::new();
        cluster.desire(0..0);
        let held = cluster.plan();
        assert!(held.writes.is_empty());
        let (removed, digest) = held.held.unwrap();
        assert_eq!(removed, 10);
        cluster.confirm(digest);
        let confirmed = cluster.plan();
        assert_eq!((confirmed.writes.len(), confirmed.confirmed), (10, true));
    }

    #[test]
    fn a_removal_within_the_budget_is_not_a_confirmed_one_whatever_was_confirmed_before() {
        let mut cluster = Cluster::new();
        cluster.desire(0..0);
        let (_, digest) = cluster.plan().held.unwrap();
        cluster.confirm(digest);
        cluster.desire(0..5);
        let plan = cluster.plan();
        assert_eq!((plan.writes.len(), plan.confirmed), (5, false));
    }

    #[test]
    fn what_is_held_does_not_hold_what_is_added() {
        let mut cluster = Cluster::new();
        cluster.desire(20..22);
        let plan = cluster.plan();
        assert_eq!(plan.held.unwrap().0, 10);
        assert!(
            plan.writes
                .iter()
                .all(|write| matches!(write, Write::Apply { .. }))
        );
        assert_eq!(plan.writes.len(), 2);
    }

    #[test]
    fn a_removal_after_a_removal_is_counted_with_it() {
        let mut cluster = Cluster::new();
        cluster.desire(0..5);
        assert_eq!(cluster.plan().writes.len(), 5);
        for name in 5..10 {
            cluster.found.remove(&key(name));
        }
        cluster.desire(0..4);
        let plan = cluster.plan();
        assert_eq!((plan.writes.len(), plan.held.unwrap().0), (0, 6));
    }

    #[test]
    fn without_the_server_policies_are_restored_and_none_is_removed() {
        let mut cluster = Cluster::new();
        cluster.live = false;
        cluster.desire(0..9);
        cluster.found.remove(&key(3));
        let plan = cluster.plan();
        assert!(
            matches!(&plan.writes[..], [Write::Apply { key: restored, .. }] if *restored == key(3))
        );
    }

    #[test]
    fn the_switch_stops_every_write() {
        let mut cluster = Cluster::new();
        cluster.desire(1..12);
        cluster.control = Some(Control {
            kill_switch: true,
            ..Control::default()
        });
        assert!(cluster.plan().writes.is_empty());
    }

    #[test]
    fn before_the_switch_was_heard_of_nothing_is_written_or_removed() {
        let mut cluster = Cluster::new();
        cluster.desire(1..12);
        cluster.control = None;
        assert!(cluster.plan().writes.is_empty());
        cluster.control = Some(Control::default());
        assert_eq!(cluster.plan().writes.len(), 3);
    }

    #[test]
    fn a_policy_somebody_changed_is_written_again() {
        let mut cluster = Cluster::new();
        if let Some(found) = cluster.found.get_mut(&key(2)) {
            found.resource_version = "9".to_owned();
        }
        assert_eq!(cluster.plan().writes.len(), 1);
    }

    #[test]
    fn one_bad_object_is_one_message_and_removes_nothing() {
        let mut cluster = Cluster::new();
        let desired = cluster.desired.as_mut().unwrap();
        desired.insert(key(4), "{".into());
        desired.insert(
            ObjectKey::new("v1", "Secret", "shop", "x").unwrap(),
            "{}".into(),
        );
        let plan = cluster.plan();
        assert!(plan.writes.is_empty());
        assert_eq!(plan.errors.len(), 2);
    }

    #[test]
    fn a_policy_of_the_clusters_own_is_not_taken_over_by_one_of_its_name() {
        let mut cluster = Cluster::new();
        let own = json!({"spec": {"endpointSelector": {}, "ingressDeny": [{}]}});
        let place = ("shop".to_owned(), "p12".to_owned());
        cluster.local.insert(place, own);
        cluster.desire(0..13);
        let plan = cluster.plan();
        assert_eq!((plan.writes.len(), plan.errors.len()), (2, 1));
        assert!(plan.errors[&key(12)].contains("the cluster's own"));
    }

    #[test]
    fn a_deny_of_the_cluster_is_named_beside_the_policy_it_beats() {
        let mut cluster = Cluster::new();
        let deny = json!({"spec": {"endpointSelector": {}, "ingressDeny": [{}]}});
        cluster
            .local
            .insert(("shop".to_owned(), "floor".to_owned()), deny);
        let plan = cluster.plan();
        assert!(plan.remarks[&key(0)].contains("floor"));
        assert_eq!((plan.remarks.len(), plan.errors.len()), (10, 0));
    }
}
