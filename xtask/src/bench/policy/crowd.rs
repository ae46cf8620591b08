//! The cluster the resolver is measured with, in the API: identities, policies, and pods on one worker.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use cilium_api::{CiliumIdentity, CiliumNetworkPolicy, NumericIdentity};
use cilium_policy::testing::crowd;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::json;

use super::row;
use crate::bench::metrics::{page, sum};
use crate::bench::path::pods::{IMAGE, workers};
use crate::lab::Lab;
use crate::process;

const IDENTITIES: u32 = 10_000;
const POLICIES: u32 = 200;
/// Requests at the same time.
pub const AT_ONCE: usize = 16;
/// Whatever was made for this carries it.
const LABEL: &str = "gloonet-bench";

/// The objects, once [`Crowd::gather`] has made them.
#[derive(Debug)]
pub struct Crowd<'a> {
    lab: &'a Lab,
    node: String,
    pods: u32,
}

impl<'a> Crowd<'a> {
    /// Names them; makes none.
    pub fn new(lab: &'a Lab, pods: u32) -> Result<Self> {
        let [node, _] = workers(lab)?;
        Ok(Self { lab, node, pods })
    }

    /// Makes them and waits until the pods run and their node's agent is at rest.
    pub async fn gather(&self, client: &kube::Client) -> Result<()> {
        eprintln!(
            "… {IDENTITIES} identities, {POLICIES} policies, {} pods on {}",
            self.pods, self.node
        );
        namespaces(client).await?;
        identities(client).await?;
        policies(client).await?;
        self.start_pods(client).await?;
        sleep(Duration::from_secs(20));
        Ok(())
    }

    /// Removes what [`Crowd::gather`] makes, also that of a run that was broken off.
    pub async fn disperse(&self, client: &kube::Client) -> Result<()> {
        let at_once = DeleteParams::default();
        let namespaces: Api<Namespace> = Api::all(client.clone());
        for number in 0..crowd::NAMESPACES {
            let name = crowd::namespace(number);
            absent_is_gone(namespaces.delete(&name, &at_once).await)?;
        }
        let identities: Api<CiliumIdentity> = Api::all(client.clone());
        let ours = ListParams::default().labels(LABEL);
        absent_is_gone(identities.delete_collection(&at_once, &ours).await)
    }

    async fn start_pods(&self, client: &kube::Client) -> Result<()> {
        let made = stream::iter(0..self.pods).map(|number| {
            // Every namespace has its turn, as with the subjects of the resolver's own measurement.
            let number = number * 7;
            let api: Api<Pod> = Api::namespaced(client.clone(), &crowd::namespace(number));
            let pod = pod(&self.node, number);
            async move { create(&api, &pod?).await }
        });
        made.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let ready = [
            "wait",
            "--for=condition=Ready",
            "--timeout=900s",
            "pod",
            "--all-namespaces",
        ];
        process::output(self.lab.kubectl()?.args(ready).args(["--selector", LABEL])).map(drop)
    }

    /// The worker the pods are on.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Prints what the node's agent takes, beside an aim in megabytes.
    pub fn print_memory(&self, aim: f64) -> Result<()> {
        let port = cilium_api::names::AGENT_METRICS_PORT;
        let page = page(self.lab, &self.node, port)?;
        let pods = sum(&page, "cilium_endpoint_state", &[]);
        let known = sum(&page, "cilium_policy", &[]);
        let memory = sum(&page, "cilium_process_resident_memory_bytes", &[]) / 1e6;
        let what = format!("agent's memory with {pods} endpoints, {known} policies");
        row(&what, memory, aim, "MB");
        Ok(())
    }
}

async fn namespaces(client: &kube::Client) -> Result<()> {
    let api: Api<Namespace> = Api::all(client.clone());
    for number in 0..crowd::NAMESPACES {
        let namespace = serde_json::from_value(json!({"metadata": {
            "name": crowd::namespace(number),
            "labels": {LABEL: "crowd", "team": crowd::team(number)},
        }}));
        create(&api, &namespace.context("make a Namespace")?).await?;
    }
    Ok(())
}

async fn identities(client: &kube::Client) -> Result<()> {
    let api: Api<CiliumIdentity> = Api::all(client.clone());
    let made = stream::iter(0..IDENTITIES).map(|number| {
        // Above those the operator gives to the cluster's own pods.
        let id = NumericIdentity(crowd::identity(number + 20_000));
        let mut identity = CiliumIdentity::new(id, crowd::labels(number));
        let labels = identity.metadata.labels.get_or_insert_default();
        labels.insert(LABEL.to_owned(), "crowd".to_owned());
        let api = api.clone();
        async move { create(&api, &identity).await }
    });
    made.buffer_unordered(AT_ONCE).try_collect().await
}

async fn policies(client: &kube::Client) -> Result<()> {
    for number in 0..POLICIES {
        let (id, object) = crowd::policy(number, 80);
        let mut policy: CiliumNetworkPolicy =
            serde_json::from_value(object).with_context(|| format!("make {id}"))?;
        policy.metadata.uid = None;
        let api = Api::namespaced(client.clone(), &id.namespace);
        create(&api, &policy).await?;
    }
    Ok(())
}

fn pod(node: &str, number: u32) -> Result<Pod> {
    let mut labels = json!({LABEL: "crowd"});
    for (key, value) in crowd::pod_labels(number) {
        labels[key] = value.into();
    }
    serde_json::from_value(json!({
        "metadata": {"name": format!("crowd-{number}"), "labels": labels},
        "spec": {
            "nodeName": node,
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": false,
            "containers": [{"name": "idle", "image": IMAGE, "args": ["pause"]}],
        },
    }))
    .context("make a Pod")
}

pub fn absent_is_gone<T>(deleted: kube::Result<T>) -> Result<()> {
    match deleted {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error).context("delete at the API server"),
    }
}

/// What a broken run left behind is as good.
pub async fn create<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error).context("write to the API server"),
    }
}
