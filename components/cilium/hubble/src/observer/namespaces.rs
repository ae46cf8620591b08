//! Which namespaces had flows of late.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::{flow::Parties, names::Endpoint};

const KEPT: i64 = 3_600_000_000_000;

/// A namespace that had flows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeenNamespace {
    pub cluster: String,
    pub name: String,
}

/// When each namespace was last seen.
#[derive(Debug, Default)]
pub(super) struct Namespaces {
    seen: Mutex<HashMap<String, i64>>,
}

impl Namespaces {
    pub(super) fn saw(&self, parties: &Parties, time: i64) {
        for party in [&parties.source, &parties.destination]
            .into_iter()
            .flatten()
        {
            self.saw_one(party, time);
        }
    }

    fn saw_one(&self, party: &Endpoint, time: i64) {
        if party.namespace.is_empty() {
            return;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get_mut(&party.namespace) {
            Some(last) => *last = time,
            None => {
                seen.insert(party.namespace.clone(), time);
            }
        }
    }

    pub(super) fn list(&self, cluster: &str, now: i64) -> Vec<SeenNamespace> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, last| *last >= now - KEPT);
        let mut namespaces: Vec<_> = seen
            .keys()
            .map(|name| SeenNamespace {
                cluster: cluster.to_owned(),
                name: name.clone(),
            })
            .collect();
        namespaces.sort();
        namespaces
    }
}
