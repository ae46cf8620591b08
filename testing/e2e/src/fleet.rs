//! Several clusters under one management server.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use gloo_api::{KubernetesCluster, kubernetes_cluster::ClusterCondition, labels, names};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams, WatchEvent, WatchParams},
};
use tokio::task::JoinHandle;

use crate::{
    Scene,
    objects::cilium_policy,
    policy::EFFECTIVE,
    wait::{Progress, until},
};

/// Workload clusters, as `./dev up --clusters 3` names them.
pub const WORKLOADS: [&str; 2] = ["east", "west"];
/// Time in which all agents are connected and warmed again.
pub const CONNECTED: Duration = Duration::from_mins(3);
/// Time in which what is written in one cluster has come to the others: an agent tries what failed again after half a minute.
pub const SPREAD: Duration = Duration::from_secs(45);
/// Time in which traffic of the others obeys it.
pub const OBEYED: Duration = SPREAD.saturating_add(EFFECTIVE);

/// The management cluster and the workload clusters.
#[derive(Debug)]
pub struct Fleet {
    /// Where the management server is.
    pub management: Scene,
    /// The others, by the name they are registered under.
    pub workloads: BTreeMap<&'static str, Scene>,
}

impl Fleet {
    /// The clusters of the environment.
    pub async fn open() -> Result<Self> {
        let management = Scene::open().await?;
        let mut workloads = BTreeMap::new();
        for name in WORKLOADS {
            let scene = management.beside(name).await;
            workloads.insert(name, scene.context("./dev up --clusters 3 starts it")?);
        }
        Ok(Self {
            management,
            workloads,
        })
    }

    /// All clusters with the names they are registered under.
    pub fn all(&self) -> impl Iterator<Item = &Scene> {
        self.workloads.values().chain([&self.management])
    }

    /// Waits until a server that lives says of every cluster that it is connected and has sent all it has.
    pub async fn connected(&self, limit: Duration) -> Result<()> {
        let clusters: Api<KubernetesCluster> =
            Api::namespaced(self.management.client.clone(), names::NAMESPACE);
        let what = "every cluster is connected and warmed";
        until(what, limit, async || {
            let all = clusters.list(&ListParams::default()).await?;
            let servers = self.servers().await?;
            let cold: Vec<_> = all
                .iter()
                .filter(|cluster| !warm(cluster) || !served(cluster, &servers))
                .collect();
            let how = cold
                .iter()
                .map(|cluster| format!("{}: {:?}", cluster.name_any(), cluster.status));
            let there = all.items.len() == WORKLOADS.len() + 1;
            let how = how.collect::<Vec<_>>().join("; ");
            Ok(Progress::when(there && cold.is_empty(), how))
        })
        .await
    }

    /// Pods of the management server that are to stay.
    async fn servers(&self) -> Result<Vec<String>> {
        let pods: Api<Pod> = Api::namespaced(self.management.client.clone(), names::NAMESPACE);
        let selector = format!("app={}", names::MANAGEMENT_SERVER);
        let all = pods.list(&ListParams::default().labels(&selector)).await?;
        let stay = all
            .iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(stay.map(ResourceExt::name_any).collect())
    }

    /// Waits until the server says of a cluster that its agent has no stream.
    pub async fn noticed_away(&self, name: &str) -> Result<()> {
        let clusters: Api<KubernetesCluster> =
            Api::namespaced(self.management.client.clone(), names::NAMESPACE);
        let what = format!("{name} is said to be not connected");
        until(&what, CONNECTED, async || {
            let cluster = clusters.get(name).await?;
            Ok(Progress::when(
                !is(&cluster, "Connected"),
                format!("{:?}", cluster.status),
            ))
        })
        .await
    }

    /// Waits until exactly these policies of the management plane are in a namespace of a cluster.
    pub async fn policies(&self, scene: &Scene, namespace: &str, wanted: &[&str]) -> Result<()> {
        let what = format!("cluster {} has {wanted:?} in {namespace}", scene.lab.name());
        until(&what, SPREAD, async || {
            let api: Api<DynamicObject> =
                Api::namespaced_with(scene.client.clone(), namespace, &cilium_policy());
            let mut there: Vec<_> = owned(&api).await?.into_keys().collect();
            there.sort();
            Ok(Progress::when(there == wanted, format!("{there:?}")))
        })
        .await
    }
}

fn is(cluster: &KubernetesCluster, kind: &str) -> bool {
    let condition = cluster
        .status
        .as_ref()
        .and_then(|status| status.condition(kind));
    condition.is_some_and(ClusterCondition::is_true)
}

/// Whether the one who serves it is one of these. A server that was killed takes nothing back.
fn served(cluster: &KubernetesCluster, servers: &[String]) -> bool {
    let condition = cluster
        .status
        .as_ref()
        .and_then(|status| status.condition("Connected"));
    let by = condition.and_then(ClusterCondition::by);
    by.is_some_and(|by| servers.iter().any(|server| server == by))
}

fn warm(cluster: &KubernetesCluster) -> bool {
    is(cluster, "Connected") && is(cluster, "Warmed")
}

fn selector() -> String {
    format!("{}={}", labels::RECONCILER, labels::TRANSLATOR)
}

/// Policies of the management plane, name to UID.
async fn owned(api: &Api<DynamicObject>) -> Result<BTreeMap<String, String>> {
    let all = api.list(&ListParams::default().labels(&selector())).await?;
    Ok(all
        .iter()
        .map(|policy| (policy.name_any(), policy.uid().unwrap_or_default()))
        .collect())
}

/// Watches the policies of the management plane in one cluster: none may go while it does.
#[derive(Debug)]
pub struct Vigil {
    cluster: String,
    api: Api<DynamicObject>,
    before: BTreeMap<String, String>,
    /// Names of policies that went.
    task: JoinHandle<Result<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Vigil {
    /// Begins with what there is, which must be something.
    pub async fn begin(scene: &Scene) -> Result<Self> {
        let api: Api<DynamicObject> = Api::all_with(scene.client.clone(), &cilium_policy());
        let before = owned(&api).await?;
        let cluster = scene.lab.name().to_string();
        if before.is_empty() {
            bail!("cluster {cluster} has no policy to watch");
        }
        let list = api.list(&ListParams::default().labels(&selector())).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(watch(api.clone(), version, stop.clone()));
        Ok(Self {
            cluster,
            api,
            before,
            task,
            stop,
        })
    }

    /// Every policy from the beginning is still there, was there all the time, and is the same object.
    pub async fn end(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let gone = self.task.await??;
        if !gone.is_empty() {
            bail!("in cluster {} policies went: {gone:?}", self.cluster);
        }
        let after = owned(&self.api).await?;
        for (name, uid) in &self.before {
            if after.get(name) != Some(uid) {
                bail!("in cluster {} policy {name} is another one", self.cluster);
            }
        }
        Ok(())
    }
}

/// Follows from `version` on without a gap. A watch that cannot go on where it was is an error: then nothing is proven.
async fn watch(
    api: Api<DynamicObject>,
    mut version: String,
    stop: Arc<AtomicBool>,
) -> Result<Vec<String>> {
    use std::pin::pin;
    let mut gone = Vec::new();
    let parameters = WatchParams::default().labels(&selector()).timeout(5);
    while !stop.load(Ordering::Relaxed) {
        let mut events = pin!(api.watch(&parameters, &version).await?);
        while let Some(event) = next(&mut events).await {
            match event? {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    version = object.resource_version().unwrap_or(version);
                }
                WatchEvent::Deleted(object) => {
                    version = object.resource_version().unwrap_or(version);
                    gone.push(object.name_any());
                }
                WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                WatchEvent::Error(error) => bail!("the watch broke: {error}"),
            }
        }
    }
    Ok(gone)
}

async fn next<S: futures::Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    futures::StreamExt::next(stream).await
}
