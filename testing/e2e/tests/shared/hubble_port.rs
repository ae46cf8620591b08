//! Hubble's port of an agent and of the relay, asked by upstream's own client: with the client's certificate they answer, without it
//! they do not.
//! The client must have been built: `./dev programs hubble`.

use std::time::Duration;

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{
    Scene,
    pods::{HTTP, Playground},
    wait::{Progress, until},
};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;

/// Upstream's client in one node, and whom it asks.
struct Client<'a> {
    scene: &'a Scene,
    node: String,
    /// Address and port.
    server: String,
    server_name: String,
    /// Where the certificate lies in the node, while the test runs.
    folder: &'static str,
}

impl Client<'_> {
    /// What the client prints, with these arguments after the server's address and how long to try.
    fn ask(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let mut argv = vec!["hubble"];
        argv.extend(command.split(' '));
        argv.extend(["--server", &self.server, "--timeout", "5s"]);
        argv.extend(arguments);
        self.scene.in_node(&self.node, &argv)
    }

    fn ask_with_certificate(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let file = |name: &str| format!("{}/{name}", self.folder);
        let [ca, certificate, key] = ["ca.crt", "tls.crt", "tls.key"].map(file);
        let mut all = vec![
            "--tls",
            "--tls-ca-cert-files",
            &ca,
            "--tls-client-cert-file",
            &certificate,
            "--tls-client-key-file",
            &key,
            "--tls-server-name",
            &self.server_name,
        ];
        all.extend(arguments);
        self.ask(command, &all)
    }

    fn is_refused_without_certificate(&self) {
        for command in ["status", "observe"] {
            assert!(self.ask_without_certificate(command).is_err(), "{command}");
            assert!(self.ask(command, &[]).is_err(), "{command} without TLS");
        }
    }

    fn ask_without_certificate(&self, command: &str) -> Result<String> {
        let ca = format!("{}/ca.crt", self.folder);
        let arguments = [
            "--tls",
            "--tls-ca-cert-files",
            &ca,
            "--tls-server-name",
            &self.server_name,
        ];
        self.ask(command, &arguments)
    }

    fn sh(&self, line: &str) -> Result<String> {
        self.scene.in_node(&self.node, &["sh", "-euc", line])
    }

    fn bring_certificate(&self) -> Result<()> {
        let secret = self.scene.kubectl(&[
            "get",
            "secret",
            names::HUBBLE_CLIENT_CERTS,
            "--namespace",
            "gloo-mesh",
            "--output",
            "json",
        ])?;
        let secret: Value = serde_json::from_str(&secret).context("read the Secret")?;
        let folder = self.folder;
        self.sh(&format!("umask 077; mkdir -p {folder}"))?;
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            let encoded = secret["data"][file].as_str().context(file)?;
            self.sh(&format!("echo {encoded} | base64 -d > {folder}/{file}"))?;
        }
        Ok(())
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        // What stays goes with the node.
        let _gone = self.sh(&format!("rm -rf {}", self.folder));
    }
}

#[tokio::test]
async fn hubbles_port_answers_who_shows_the_clients_certificate_and_nobody_else() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let cluster = scene.kubectl(&[
        "get",
        "configmap",
        "cilium-config",
        "--namespace",
        names::NAMESPACE,
        "--output",
        "jsonpath={.data.cluster-name}",
    ])?;
    let client = Client {
        scene: &scene,
        node: workers[1].clone(),
        server: format!(
            "{}:{}",
            scene.node_ip(&workers[0]).await?,
            names::HUBBLE_PORT
        ),
        server_name: format!("{}.{}.{}", workers[0], cluster.trim(), names::HUBBLE_DOMAIN),
        folder: "/run/hubble-port-test",
    };
    client.bring_certificate()?;
    let status = client.ask_with_certificate("status", &["--output", "json"])?;
    let status: Value = serde_json::from_str(&status).context("read the status")?;
    assert!(status["max_flows"].to_string().len() > 1, "{status}");
    until("a flow", Duration::from_secs(30), async || {
        let said = client.ask_with_certificate("observe", &["--last", "5", "--output", "json"])?;
        let flow = said.lines().any(|line| line.contains("\"flow\""));
        Ok(Progress::when(flow, said))
    })
    .await?;
    client.is_refused_without_certificate();
    Ok(())
}

#[tokio::test]
async fn the_relay_answers_with_the_flows_of_all_nodes_who_shows_the_clients_certificate()
-> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let relay = names::HUBBLE_RELAY;
    let address = scene.kubectl(&[
        "get",
        "service",
        relay,
        "--namespace",
        names::NAMESPACE,
        "--output",
        "jsonpath={.spec.clusterIP}",
    ])?;
    let client = Client {
        scene: &scene,
        node: workers[1].clone(),
        server: format!("{}:443", address.trim()),
        server_name: format!("{relay}.{}.svc", names::NAMESPACE),
        folder: "/run/hubble-relay-test",
    };
    client.bring_certificate()?;
    let nodes = client.ask_with_certificate("list nodes", &["--output", "json"])?;
    for worker in &workers {
        assert!(nodes.contains(worker.as_str()), "{worker} in {nodes}");
    }
    // Traffic of two nodes, in one stream in the order of time.
    let ground = Playground::start(&scene, "relay").await?;
    let near = ground.talker("near", &workers[0]).await?;
    let far = ground.talker("far", &workers[1]).await?;
    let ip = far.ip.to_string();
    ground
        .ask_patiently(&near, "http", &ip, HTTP, "hostname")
        .await?;
    until("flows of both nodes", Duration::from_secs(30), async || {
        let arguments = [
            "--last",
            "100",
            "--namespace",
            &ground.namespace,
            "--output",
            "json",
        ];
        let said = client.ask_with_certificate("observe", &arguments)?;
        let seen = flows(&said)?;
        let from = |node: &str| seen.iter().any(|(_, name)| name.ends_with(node));
        let in_order = seen.is_sorted_by_key(|(time, _)| *time);
        assert!(in_order, "{said}");
        Ok(Progress::when(
            workers[..2].iter().all(|node| from(node)),
            said,
        ))
    })
    .await?;
    client.is_refused_without_certificate();
    ground.end().await
}

/// Time and node of each flow.
fn flows(lines: &str) -> Result<Vec<(Timestamp, String)>> {
    let objects = lines.lines().map(serde_json::from_str::<Value>);
    let mut flows = Vec::new();
    for object in objects {
        let object = object.context("read a line of the client")?;
        let text = |field: &str| object[field].as_str().map(ToOwned::to_owned);
        if let (Some(time), Some(node)) = (text("time"), text("node_name")) {
            flows.push((time.parse().context("read a time")?, node));
        }
    }
    Ok(flows)
}
