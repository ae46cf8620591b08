//! The cluster the resolver is measured with, in the API: identities, policies, and pods on one worker.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cilium_api::{CiliumIdentity, CiliumNetworkPolicy, NumericIdentity};
use cilium_policy::testing::crowd;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{Api, ListParams};
use serde_json::json;

use super::room::roomiest;
use super::row;
use crate::bench::metrics::{page, sum};
use crate::bench::objects::{all, create, sweep};
use crate::bench::path::pods::IMAGE;
use crate::lab::Lab;

const IDENTITIES: u32 = 10_000;
const POLICIES: u32 = 200;
/// Whatever was made for this carries it.
const LABEL: &str = "gloonet-bench";
/// Two processors start a pod in a second or two.
const STARTED: Duration = Duration::from_mins(15);
const LOOK: Duration = Duration::from_secs(2);
const WORD: u32 = 15;
/// The agents follow at once; what they do for so much news shall not be measured.
const REST: Duration = Duration::from_secs(20);

/// The objects, from when they are there; [`disperse`] takes them away.
#[derive(Debug)]
pub struct Crowd<'a> {
    lab: &'a Lab,
    node: String,
}

/// Removes what [`Crowd::gather`] makes, also that of a run that was broken off.
pub async fn disperse(client: &kube::Client) -> Result<()> {
    let ours = ListParams::default().labels(LABEL);
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let identities: Api<CiliumIdentity> = Api::all(client.clone());
    // A namespace takes what is in it along: pods, policies.
    sweep("namespaces", &namespaces, &ours).await?;
    sweep("identities", &identities, &ours).await
}

impl<'a> Crowd<'a> {
    /// Makes them, the pods on the worker with the most room, and waits until those run and the node's agent is at rest.
    pub async fn gather(lab: &'a Lab, client: &kube::Client, pods: u32) -> Result<Self> {
        let node = node(lab, pods)?;
        eprintln!("… {IDENTITIES} identities, {POLICIES} policies, {pods} pods on {node}");
        namespaces(client).await?;
        identities(client).await?;
        policies(client).await?;
        start_pods(client, &node, pods).await?;
        tokio::time::sleep(REST).await;
        Ok(Self { lab, node })
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

/// A worker with room for so many.
fn node(lab: &Lab, pods: u32) -> Result<String> {
    let nodes = lab.get(&[
        "nodes",
        "--selector",
        "!node-role.kubernetes.io/control-plane",
    ])?;
    let there = lab.get(&["pods", "--all-namespaces"])?;
    let (node, room) = roomiest(&nodes, &there).context("the cluster has no worker")?;
    ensure!(
        room >= usize::try_from(pods)?,
        "the emptiest worker, {node}, takes {room} more pods, not {pods}: ./dev lab node add, or fewer --pods"
    );
    Ok(node)
}

async fn start_pods(client: &kube::Client, node: &str, count: u32) -> Result<()> {
    let made = (0..count).map(async |number| {
        // Every namespace has its turn, as with the subjects of the resolver's own measurement.
        let number = number * 7;
        let api: Api<Pod> = Api::namespaced(client.clone(), &crowd::namespace(number));
        create(&api, &pod(node, number)?).await
    });
    all("pods", made).await?;
    let api: Api<Pod> = Api::all(client.clone());
    let ours = ListParams::default().labels(LABEL);
    let begun = Instant::now();
    for look in 1.. {
        let found = api.list(&ours).await.context("list the pods")?.items;
        let ready = ready(&found)?;
        if ready == usize::try_from(count)? {
            break;
        }
        if begun.elapsed() > STARTED {
            bail!("{ready} of {count} pods are ready after {STARTED:?}");
        }
        if look % WORD == 0 {
            eprintln!("… pods ready: {ready} of {count}");
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// How many are ready. One that its node does not take will never be.
fn ready(pods: &[Pod]) -> Result<usize> {
    let mut ready = 0;
    for pod in pods {
        let status = pod.status.clone().unwrap_or_default();
        if status.phase.as_deref() == Some("Failed") {
            let why = status.message.or(status.reason).unwrap_or_default();
            bail!(
                "pod {}: {why}",
                pod.metadata.name.as_deref().unwrap_or_default()
            );
        }
        let mut conditions = status.conditions.into_iter().flatten();
        ready += usize::from(conditions.any(|one| one.type_ == "Ready" && one.status == "True"));
    }
    Ok(ready)
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
    let made = (0..IDENTITIES).map(async |number| {
        // Above those the operator gives to the cluster's own pods.
        let id = NumericIdentity(crowd::identity(number + 20_000));
        let mut identity = CiliumIdentity::new(id, crowd::labels(number));
        let labels = identity.metadata.labels.get_or_insert_default();
        labels.insert(LABEL.to_owned(), "crowd".to_owned());
        create(&api, &identity).await
    });
    all("identities", made).await
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn with(status: Value) -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "crowd-7"}, "status": status})).unwrap()
    }

    #[test]
    fn only_pods_that_are_ready_count_and_one_its_node_refused_ends_the_wait() {
        let condition = |status: &str| json!({"phase": "Running", "conditions": [{"type": "Ready", "status": status}]});
        let pods = [
            with(condition("True")),
            with(condition("False")),
            with(json!({"phase": "Pending"})),
        ];
        assert_eq!(ready(&pods).unwrap(), 1);
        let refused = with(
            json!({"phase": "Failed", "reason": "OutOfpods", "message": "Node didn't have enough resource: pods"}),
        );
        let error = ready(&[with(condition("True")), refused]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "pod crowd-7: Node didn't have enough resource: pods"
        );
    }
}
