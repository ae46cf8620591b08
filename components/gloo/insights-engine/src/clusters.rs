//! Which clusters take part: those with a KubernetesCluster.

use std::{collections::BTreeSet, sync::Arc};

use futures::StreamExt;
use gloo_api::{ClusterName, KubernetesCluster, names};
use gloonet_daemon::watching::{Pauses, interrupted};
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The names; `None` until they were read.
pub type Names = Option<Arc<BTreeSet<ClusterName>>>;

/// Follows the KubernetesClusters until `closing`. A name that is none cannot be written as one; it is left out.
pub async fn follow(client: Client, names: watch::Sender<Names>, closing: CancellationToken) {
    let api: Api<KubernetesCluster> = Api::namespaced(client, names::NAMESPACE);
    let config = watcher::Config::default();
    let mut events = watcher(api, config).backoff(Pauses::default()).boxed();
    let (mut known, mut listed) = (BTreeSet::new(), BTreeSet::new());
    while let Some(Some(event)) = closing.run_until_cancelled(events.next()).await {
        let name = |cluster: &KubernetesCluster| cluster.name_any().parse::<ClusterName>().ok();
        match event {
            // Before the list is whole nobody knows which clusters there are.
            Ok(Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(Event::InitApply(cluster)) => {
                listed.extend(name(&cluster));
                continue;
            }
            Ok(Event::InitDone) => known = std::mem::take(&mut listed),
            Ok(Event::Apply(cluster)) => known.extend(name(&cluster)),
            Ok(Event::Delete(cluster)) => {
                if let Some(name) = name(&cluster) {
                    known.remove(&name);
                }
            }
            Err(error) => {
                interrupted("KubernetesCluster", &error);
                continue;
            }
        }
        names.send_replace(Some(Arc::new(known.clone())));
    }
}
