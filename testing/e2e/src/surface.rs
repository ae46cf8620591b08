//! Everything that people are shown of a cluster: what must not be in a Secret is nowhere in it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use gloonet_api::MESH_NAMESPACE;
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Scene, insights, platform};

/// Where something stands, and the text that stands there.
pub type Texts = BTreeMap<String, String>;

const SERVER_PORT: u16 = gloo_api::names::SERVER_STATS_PORT;
/// Secrets, what `events` has already, and what is asked of the control plane and not kept.
const NOT_SHOWN: [&str; 3] = ["secrets", "events.events.k8s.io", "componentstatuses"];
/// How long the management server may take for an answer.
const ANSWER: Duration = Duration::from_secs(20);

/// The logs of every container of the platform, of now and of the time before its last restart.
pub async fn logs(scene: &Scene) -> Result<Texts> {
    let mut texts = Texts::new();
    for (pod, mark) in platform::pods(scene).await? {
        if mark.ending {
            continue;
        }
        let (namespace, name) = pod.split_once('/').context("namespace and name")?;
        let command = ["logs", "--namespace", namespace, name, "--all-containers"];
        texts.insert(format!("log of {pod}"), scene.kubectl(&command)?);
        // Most containers never ended before.
        if let Ok(text) = scene.kubectl(&[&command[..], &["--previous"][..]].concat()) {
            texts.insert(format!("earlier log of {pod}"), text);
        }
    }
    Ok(texts)
}

/// Every object of every kind but Secrets, events and status among them. `hides` says which one is to be left out.
pub fn objects(scene: &Scene, hides: impl Fn(&Value) -> bool) -> Result<Texts> {
    let mut texts = Texts::new();
    let kinds = scene.kubectl(&["api-resources", "--verbs=list", "--output=name"])?;
    for kind in kinds.lines().filter(|kind| !NOT_SHOWN.contains(kind)) {
        let list = scene.kubectl(&["get", kind, "--all-namespaces", "--output=json"])?;
        let list: Value = serde_json::from_str(&list).with_context(|| format!("list of {kind}"))?;
        let items = list["items"].as_array().context("items of a list")?;
        let shown: Vec<String> = items
            .iter()
            .filter(|item| !hides(item))
            .map(Value::to_string)
            .collect();
        texts.insert(kind.to_owned(), shown.join("\n"));
    }
    Ok(texts)
}

/// The metrics of every port of the platform's pods that has some.
pub async fn metrics(scene: &Scene) -> Result<Texts> {
    let mut texts = Texts::new();
    for (pod, mark) in platform::pods(scene).await? {
        if mark.ending {
            continue;
        }
        let (namespace, name) = pod.split_once('/').context("namespace and name")?;
        let pods: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
        let spec = pods.get(name).await?.spec.context("a pod's spec")?;
        let ports = spec
            .containers
            .iter()
            .flat_map(|one| one.ports.iter().flatten());
        for port in ports.map(|port| port.container_port) {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
            // Ports of other protocols are asked in vain.
            if let Ok(page) = scene.kubectl(&["get", "--raw", &path]) {
                texts.insert(format!("metrics of {pod} at {port}"), page);
            }
        }
    }
    Ok(texts)
}

/// What the insights engine tells.
pub async fn insights(scene: &Scene) -> Result<Texts> {
    let told = insights::ask(scene).await?.document.to_string();
    Ok(Texts::from([("insights".to_owned(), told)]))
}

/// Head and body of the management server's answer to who shows `token`.
pub async fn snapshot(scene: &Scene, path: &str, token: &str) -> Result<(String, String)> {
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), MESH_NAMESPACE);
    let of_server = format!("app={}", gloo_api::names::MANAGEMENT_SERVER);
    let found = pods.list(&ListParams::default().labels(&of_server)).await?;
    let mut alive = found
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none());
    let name = alive.next().context("no management server")?.name_any();
    let mut forwarded = pods.portforward(&name, &[SERVER_PORT]).await?;
    let mut stream = forwarded.take_stream(SERVER_PORT).context("no stream")?;
    let question =
        format!("GET {path} HTTP/1.0\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    stream.write_all(question.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(ANSWER, stream.read_to_string(&mut answer))
        .await
        .context("the management server does not answer")??;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("an answer without body")?;
    Ok((head.to_owned(), body.to_owned()))
}

/// The pod of Redis.
async fn redis_pod(scene: &Scene) -> Result<Pod> {
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), MESH_NAMESPACE);
    let of_redis = ListParams::default().labels("app=gloo-mesh-redis");
    let found = pods.list(&of_redis).await?;
    found.items.into_iter().next().context("no Redis")
}

/// What Redis answers to the commands of the insights engine, as a node that may reach it is told.
pub async fn redis(scene: &Scene, commands: &[String]) -> Result<String> {
    let status = redis_pod(scene).await?.status;
    let address = status
        .and_then(|status| status.pod_ip)
        .context("an address of Redis")?;
    let secrets: Api<Secret> = Api::namespaced(scene.client.clone(), MESH_NAMESPACE);
    let login = secrets.get("gloo-mesh-redis-insights-auth").await?;
    let login = login.data.context("a login")?;
    let text = |key: &str| -> Result<String> {
        let bytes = &login.get(key).context("a part of the login")?.0;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    };
    let login = format!("AUTH {} {}\n", text("username")?, text("password")?);
    let workers = scene.workers().await?;
    let node = workers.first().context("a worker")?;
    scene.in_node_given(
        node,
        &["redis-cli", "-h", &address],
        &(login + &commands.join("\n") + "\n"),
    )
}

/// All that Redis was told to keep, as it lies on its node. No user of Redis may list its keys.
pub async fn kept(scene: &Scene) -> Result<Texts> {
    let pod = redis_pod(scene).await?;
    let uid = pod.uid().context("its UID")?;
    let node = pod.spec.and_then(|spec| spec.node_name);
    let files = format!("/var/lib/kubelet/pods/{uid}/volumes/*/*/appendonlydir/*");
    let print = format!("cat {files} | tr -c '[:print:]\\n' '\\n'");
    let text = scene.in_node(&node.context("the node of Redis")?, &["sh", "-euc", &print])?;
    Ok(Texts::from([("what Redis keeps".to_owned(), text)]))
}
