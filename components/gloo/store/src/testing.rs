//! Redis without a connection or a clock, for simulations: what is written, read and judged is what the real one is asked.

use std::collections::{BTreeMap, HashMap};

use gloo_api::ClusterName;

use crate::{
    Found, Head, Holder, Moment, Seal, Word, Write,
    fence::{KEPT, judge},
    snapshot::{HEAD, open_head},
    store::{by_head, whole},
};

/// What Redis holds. A clone of it is a backup.
#[derive(Clone, Debug, Default)]
pub struct Model {
    snapshots: BTreeMap<ClusterName, HashMap<String, Vec<u8>>>,
    /// With the moment each ends at.
    fences: BTreeMap<ClusterName, (Holder, gloo_relay::session::Moment)>,
}

impl Model {
    /// As [`crate::Store::save`].
    pub fn save(&mut self, seal: &Seal, cluster: &ClusterName, write: &Write) -> bool {
        let hash = self.snapshots.entry(cluster.clone()).or_default();
        // Where everything is written, nothing is asked for.
        let before = hash.get(HEAD).filter(|_| write.base.is_some()).cloned();
        write.apply(hash);
        write.is_whole(seal, cluster, before.as_deref())
    }

    /// As [`crate::Store::load`].
    pub fn load(&self, seal: &Seal, cluster: &ClusterName, last: Option<&Head>) -> Found {
        let Some(hash) = self.snapshots.get(cluster) else {
            return Found::Nothing;
        };
        let head = hash.get(HEAD).map(Vec::as_slice);
        by_head(seal, cluster, head, last).unwrap_or_else(|| whole(seal, cluster, hash))
    }

    /// As [`crate::Store::head`].
    pub fn head(&self, seal: &Seal, cluster: &ClusterName) -> Option<Head> {
        open_head(seal, cluster, self.snapshots.get(cluster)?.get(HEAD)?)
    }

    /// As [`crate::Fences::ask`].
    pub fn ask(
        &mut self,
        cluster: &ClusterName,
        ours: &Holder,
        when: Moment,
        now: gloo_relay::session::Moment,
    ) -> Word {
        let there = self.fences.get(cluster).filter(|(_, end)| *end > now);
        let word = judge(there.map(|(holder, _)| holder), ours, when);
        if word == Word::Served {
            let entry = (ours.clone(), now + KEPT);
            self.fences.insert(cluster.clone(), entry);
        }
        word
    }
}
