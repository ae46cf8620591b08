//! Who knows everything at once, and says what is wrong.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use gloo_api::ClusterName;
use gloo_mesh_mgmt_server::{
    push,
    state::{Registration, State},
};
use gloo_relay::{
    key::ObjectKey,
    session::Moment,
    table::{Changes, Objects},
};
use jiff::Timestamp;
use serde_json::Value;

use super::api::{Act, Api, is_policy, told};

/// How long servers may go by what was before: a storm, and what it takes to come back from it.
const LATELY: Duration = Duration::from_mins(2);

/// What is known of a cluster.
#[derive(Debug, Default)]
struct Known {
    /// Policies it is to have.
    ideal: BTreeSet<ObjectKey>,
    /// When some were last no longer to be there.
    went: BTreeMap<ObjectKey, Moment>,
    /// Policies it has, and whether each was ever not desired since it is there.
    applied: BTreeMap<ObjectKey, bool>,
}

/// The one.
#[derive(Debug)]
pub(crate) struct Judge {
    state: State,
    clusters: BTreeMap<ClusterName, Known>,
}

pub(crate) fn enrolled() -> Registration {
    Registration {
        enrolled: true,
        ..Registration::default()
    }
}

impl Judge {
    pub(crate) fn new(home: &ClusterName) -> Self {
        Self {
            state: State::new(home.clone(), false),
            clusters: BTreeMap::new(),
        }
    }

    pub(crate) fn enrol(&mut self, now: Moment, name: &ClusterName) {
        self.state.register(name, Some(enrolled()));
        self.settle(now);
    }

    /// Somebody wrote to a cluster.
    pub(crate) fn hear(
        &mut self,
        now: Moment,
        name: &ClusterName,
        key: &ObjectKey,
        object: Option<&Value>,
    ) {
        let mut changes = Changes::default();
        match object.and_then(told) {
            Some(upsert) => changes.upserts.push(upsert),
            None => changes.deletes.push(key.clone()),
        }
        self.state.observe(name, &changes);
        self.settle(now);
    }

    fn settle(&mut self, now: Moment) {
        for name in self.state.settle() {
            let known = self.clusters.entry(name.clone()).or_default();
            let wanted = self.state.clusters[&name].wanted.keys();
            let ideal = wanted.filter(|key| is_policy(key)).cloned().collect();
            let before = std::mem::replace(&mut known.ideal, ideal);
            let went = before.into_iter().filter(|key| !known.ideal.contains(key));
            known.went.extend(went.map(|key| (key, now)));
            for (key, undesired) in &mut known.applied {
                *undesired |= !known.ideal.contains(key);
            }
        }
    }

    /// A person took a policy away.
    pub(crate) fn forgive(&mut self, name: &ClusterName, key: &ObjectKey) {
        if let Some(known) = self.clusters.get_mut(name) {
            known.applied.remove(key);
        }
    }

    /// What agents did: nothing goes that is desired. `excused`: two agents write, and neither can know of the other.
    pub(crate) fn acts(
        &mut self,
        now: Moment,
        name: &ClusterName,
        acts: Vec<Act>,
        excused: bool,
    ) -> Result<(), String> {
        let known = self.clusters.entry(name.clone()).or_default();
        for act in acts {
            match act {
                Act::Applied(key) => {
                    // Made of what was before, it may well go for what was then.
                    let lately = known.went.get(&key).is_some_and(|at| now < *at + LATELY);
                    let undesired = lately || !known.ideal.contains(&key);
                    known.applied.entry(key).or_insert(undesired);
                }
                Act::Removed(key) => {
                    if known.applied.remove(&key) == Some(false) && !excused {
                        return Err(format!("{key} of {name} was removed though it is desired"));
                    }
                }
            }
        }
        Ok(())
    }

    /// The policies and statuses the cluster is to have, computed from nothing but what there is.
    pub(crate) fn ideal(&self, apis: &[(ClusterName, &Api)]) -> BTreeMap<ClusterName, Objects> {
        let mut state = State::new(self.state.home.clone(), false);
        for (name, api) in apis {
            state.register(name, Some(enrolled()));
            let said = api.objects.iter().filter(|(key, _)| !is_policy(key));
            let upserts = said.filter_map(|(_, object)| told(object)).collect();
            let deletes = Vec::new();
            state.observe(name, &Changes { upserts, deletes });
        }
        state.settle();
        let names = apis.iter().map(|(name, _)| name);
        names
            .map(|name| {
                push::decide(&mut state, name, Timestamp::UNIX_EPOCH);
                let desired = state.clusters[name].desired.clone();
                (name.clone(), desired.unwrap_or_default())
            })
            .collect()
    }
}
