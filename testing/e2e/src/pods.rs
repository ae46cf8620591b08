//! Pods that talk: agnhost's `netexec`, which answers and which asks others on request.

use std::{net::Ipv4Addr, time::Duration};

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::{Namespace, Pod, Service, ServiceAccount};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    Scene,
    objects::ignore_missing,
    wait::{Progress, until},
};

/// The image every node of the lab holds.
pub const AGNHOST: &str = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";
/// Port of `netexec` for HTTP.
pub const HTTP: u16 = 8080;
/// Port of `netexec` for UDP.
pub const UDP: u16 = 8081;

const STARTED: Duration = Duration::from_mins(1);
const ENDED: Duration = Duration::from_mins(2);

/// A namespace of a test's own. Call [`Playground::end`]; one left behind by a failed test is replaced.
#[derive(Debug)]
pub struct Playground<'a> {
    pub(crate) scene: &'a Scene,
    /// Its name.
    pub namespace: String,
}

/// For tests with talkers in the network of a node: one test at a time, since the ports there are one test's only.
pub async fn hosts() -> MutexGuard<'static, ()> {
    static HOSTS: Mutex<()> = Mutex::const_new(());
    HOSTS.lock().await
}

/// A pod that runs.
#[derive(Clone, Debug)]
pub struct Talker {
    /// Name of the pod.
    pub name: String,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Name of its node.
    pub node: String,
}

impl<'a> Playground<'a> {
    /// A fresh namespace.
    pub async fn start(scene: &'a Scene, name: &str) -> Result<Self> {
        let playground = Self {
            scene,
            namespace: format!("e2e-{name}"),
        };
        playground.remove().await?;
        let namespace =
            serde_json::from_value(json!({"metadata": {"name": playground.namespace}}))?;
        playground
            .namespaces()
            .create(&PostParams::default(), &namespace)
            .await
            .context("make a namespace")?;
        playground.settled().await?;
        Ok(playground)
    }

    /// No pod is taken before its ServiceAccount is there, which a controller makes in its own time.
    async fn settled(&self) -> Result<()> {
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.scene.client.clone(), &self.namespace);
        let what = format!("namespace {} has its ServiceAccount", self.namespace);
        until(&what, STARTED, async || {
            accounts.get("default").await?;
            Ok(Progress::Done(()))
        })
        .await
    }

    /// Deletes the namespace and everything in it, without waiting for the end of that.
    pub async fn end(self) -> Result<()> {
        self.delete().await
    }

    async fn delete(&self) -> Result<()> {
        let gone = self
            .namespaces()
            .delete(&self.namespace, &DeleteParams::default())
            .await;
        Ok(ignore_missing(gone)?)
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.scene.client.clone())
    }

    async fn remove(&self) -> Result<()> {
        self.delete().await?;
        until(
            &format!("namespace {} is gone", self.namespace),
            ENDED,
            async || {
                let left = self.namespaces().get_opt(&self.namespace).await?;
                let how = format!("{:?}", left.as_ref().and_then(|n| n.status.as_ref()));
                Ok(Progress::when(left.is_none(), how))
            },
        )
        .await
    }

    /// Starts a talker on a node and waits until it is ready.
    pub async fn talker(&self, name: &str, node: &str) -> Result<Talker> {
        self.run(name, node, false).await
    }

    /// Starts a talker as a ServiceAccount of its own, named as it is.
    pub async fn talker_as_itself(&self, name: &str, node: &str) -> Result<Talker> {
        let accounts: Api<ServiceAccount> =
            Api::namespaced(self.scene.client.clone(), &self.namespace);
        let account = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        accounts
            .create(&PostParams::default(), &account)
            .await
            .context("make a ServiceAccount")?;
        let mut pod = talker(name, node, false)?;
        if let Some(spec) = &mut pod.spec {
            spec.service_account_name = Some(name.to_owned());
        }
        self.create(name, &pod).await
    }

    /// Starts a talker in the network of a node, where its ports are taken: see [`hosts`].
    pub async fn on_host(&self, name: &str, node: &str) -> Result<Talker> {
        self.vacated(node).await?;
        self.run(name, node, true).await
    }

    /// A talker of the test before lives on for a moment when its pod is gone: it would hold the port, and answer the kubelet
    /// for the new one.
    async fn vacated(&self, node: &str) -> Result<()> {
        let there = format!("sport = :{HOST_HTTP}");
        let listeners = ["ss", "--no-header", "--listening", "--tcp", &there];
        let what = format!("nobody listens at port {HOST_HTTP} of {node}");
        until(&what, STARTED, async || {
            let said = self.scene.in_node(node, &listeners)?;
            Ok(Progress::when(said.trim().is_empty(), said))
        })
        .await
    }

    async fn run(&self, name: &str, node: &str, on_host: bool) -> Result<Talker> {
        self.create(name, &talker(name, node, on_host)?).await
    }

    /// Asks for a talker on a node and does not wait for it: see [`Self::ready`].
    pub async fn begin(&self, name: &str, node: &str) -> Result<()> {
        self.make(&talker(name, node, false)?).await
    }

    async fn make(&self, pod: &Pod) -> Result<()> {
        let made = self.pods().create(&PostParams::default(), pod).await;
        made.map(drop).context("make a pod")
    }

    async fn create(&self, name: &str, pod: &Pod) -> Result<Talker> {
        self.make(pod).await?;
        self.ready(name).await
    }

    /// Waits until a pod of the playground is ready.
    pub async fn ready(&self, name: &str) -> Result<Talker> {
        self.ready_within(name, STARTED).await
    }

    /// The same, with another limit.
    pub async fn ready_within(&self, name: &str, limit: Duration) -> Result<Talker> {
        let what = format!("pod {}/{name} is ready", self.namespace);
        until(&what, limit, async || {
            let pod = self.pods().get(name).await?;
            Ok(Progress::of(running(&pod), format!("{:?}", pod.status)))
        })
        .await
    }

    /// A Service in front of every talker with the label `app=NAME`.
    pub async fn service(&self, name: &str) -> Result<Ipv4Addr> {
        let service = serde_json::from_value(json!({
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [
                {"name": "http", "protocol": "TCP", "port": 80, "targetPort": HTTP},
                {"name": "udp", "protocol": "UDP", "port": 81, "targetPort": UDP},
            ]},
        }))?;
        let services: Api<Service> = Api::namespaced(self.scene.client.clone(), &self.namespace);
        let made = services
            .create(&PostParams::default(), &service)
            .await
            .context("make a Service")?;
        let ip = made
            .spec
            .and_then(|s| s.cluster_ip)
            .context("a Service without address")?;
        ip.parse().context("the address of a Service")
    }

    /// The pods of the playground.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.scene.client.clone(), &self.namespace)
    }

    /// Runs a program in a talker.
    pub fn exec(&self, from: &Talker, argv: &[&str]) -> Result<String> {
        let mut arguments = vec!["exec", "--namespace", &self.namespace, &from.name, "--"];
        arguments.extend(argv);
        self.scene.kubectl(&arguments)
    }

    /// Lets a talker ask `host:port` over `protocol` (`http`, `udp`) and returns the answer.
    pub fn ask(
        &self,
        from: &Talker,
        protocol: &str,
        host: &str,
        port: u16,
        request: &str,
    ) -> Result<String> {
        let http = if from_host(from) { HOST_HTTP } else { HTTP };
        let url = format!(
            "http://127.0.0.1:{http}/dial?host={host}&port={port}&protocol={protocol}&request={request}&tries=1"
        );
        let said = self.exec(from, &["timeout", "10", "wget", "-q", "-O", "-", &url])?;
        answer(&said)
            .with_context(|| format!("{} asks {protocol}://{host}:{port}/{request}", from.name))
    }

    /// As [`Self::ask`], again and again until there is an answer: a Service needs a moment to reach every node.
    pub async fn ask_patiently(
        &self,
        from: &Talker,
        protocol: &str,
        host: &str,
        port: u16,
        request: &str,
    ) -> Result<String> {
        let what = format!(
            "{} gets an answer from {protocol}://{host}:{port}/{request}",
            from.name
        );
        until(&what, Duration::from_mins(2), async || {
            Ok(Progress::Done(
                self.ask(from, protocol, host, port, request)?,
            ))
        })
        .await
    }
}

/// In a node's network the usual port may be taken by a program of the machine's.
const HOST_HTTP: u16 = 18_080;

fn from_host(talker: &Talker) -> bool {
    talker.name.starts_with("host-")
}

/// The manifest of a talker; labels: `app` is the name up to the first dash.
fn talker(name: &str, node: &str, on_host: bool) -> Result<Pod> {
    if on_host != name.starts_with("host-") {
        bail!("the name of a talker on the host network begins with host-, and no other's: {name}");
    }
    let http = if on_host { HOST_HTTP } else { HTTP };
    let app = name.split('-').next().unwrap_or(name);
    let pod: Value = json!({
        "metadata": {"name": name, "labels": {"app": app}},
        "spec": {
            "nodeName": node, "hostNetwork": on_host, "terminationGracePeriodSeconds": 0,
            // It asks no API server, and a kubelet that misses one waits ever longer for the token.
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "talker", "image": AGNHOST, "imagePullPolicy": "IfNotPresent",
                "args": ["netexec", format!("--http-port={http}"), format!("--udp-port={}", http + 1)],
                // Named, for policies that name ports; a pod on the host network would take them on the node.
                "ports": if on_host { json!([]) } else { json!([
                    {"name": "http", "containerPort": http}, {"name": "udp", "containerPort": http + 1, "protocol": "UDP"},
                ]) },
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": http}, "periodSeconds": 1},
            }],
        },
    });
    Ok(serde_json::from_value(pod)?)
}

fn running(pod: &Pod) -> Option<Talker> {
    let status = pod.status.as_ref()?;
    let ready = status
        .conditions
        .iter()
        .flatten()
        .any(|c| c.type_ == "Ready" && c.status == "True");
    let ip = status.pod_ip.as_deref()?.parse().ok()?;
    let node = pod.spec.as_ref()?.node_name.clone()?;
    ready.then(|| Talker {
        name: pod.name_any(),
        ip,
        node,
    })
}

/// `{"responses":["web-1"]}` or `{"errors":["…"]}`.
fn answer(said: &str) -> Result<String> {
    let said: Value =
        serde_json::from_str(said).with_context(|| format!("not an answer of /dial: {said}"))?;
    match said["responses"][0].as_str() {
        Some(response) => Ok(response.trim().to_owned()),
        None => bail!("no answer: {said}"),
    }
}
