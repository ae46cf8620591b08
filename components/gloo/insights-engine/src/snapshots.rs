//! What agents told the management server, from Redis; only what opens under the seal.

use std::collections::BTreeMap;

use gloo_api::ClusterName;
use gloo_insights::Snapshot;
use gloo_store::{Found, Head, Store};

/// The last snapshot read of each cluster, so that an unchanged one is not read again.
#[derive(Debug)]
pub struct Snapshots {
    store: Store,
    known: BTreeMap<ClusterName, (Head, Snapshot)>,
}

impl Snapshots {
    pub fn new(store: Store) -> Self {
        Self {
            store,
            known: BTreeMap::new(),
        }
    }

    /// The cluster's snapshot; `None` when there is none.
    pub async fn read(&mut self, cluster: &ClusterName) -> Option<Result<Snapshot, String>> {
        let last = self.known.get(cluster).map(|(head, _)| head);
        match self.store.load(cluster, last).await {
            Ok(Found::Same) => {
                let known = self.known.get(cluster)?;
                Some(Ok(known.1.clone()))
            }
            Ok(Found::Nothing) => {
                self.known.remove(cluster);
                None
            }
            Ok(Found::Refused) => {
                self.known.remove(cluster);
                let why = "what is in Redis was not made by our management server";
                Some(Err(why.to_owned()))
            }
            Ok(Found::Snapshot(head, objects)) => {
                let mut snapshot = Snapshot::default();
                for (key, bytes) in &objects {
                    let taken = snapshot.add(key.kind(), key.namespace(), key.name(), bytes);
                    if let Err(error) = taken {
                        tracing::warn!(%cluster, object = %key, %error, "an object of the snapshot is left out");
                    }
                }
                self.known.insert(cluster.clone(), (head, snapshot.clone()));
                Some(Ok(snapshot))
            }
            Err(error) => {
                self.store.reset().await;
                Some(Err(gloonet_daemon::error::chain(&error)))
            }
        }
    }
}
