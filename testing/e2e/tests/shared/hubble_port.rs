//! Hubble's port, asked by upstream's own client: with the client's certificate it answers, without it does not.
//! The client must have been built: `./dev programs hubble`.

use std::time::Duration;

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{
    Scene,
    wait::{Progress, until},
};
use serde_json::Value;

/// Where the certificate lies in the node, while the test runs.
const FOLDER: &str = "/run/hubble-port-test";

/// Upstream's client in one node, and the port of another.
struct Client<'a> {
    scene: &'a Scene,
    node: String,
    server: String,
    server_name: String,
}

impl Client<'_> {
    /// What the client prints, with these arguments after the server's address and how long to try.
    fn ask(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let server = format!("{}:{}", self.server, names::HUBBLE_PORT);
        let mut argv = vec!["hubble", command, "--server", &server, "--timeout", "5s"];
        argv.extend(arguments);
        self.scene.in_node(&self.node, &argv)
    }

    fn ask_with_certificate(&self, command: &str, arguments: &[&str]) -> Result<String> {
        let file = |name: &str| format!("{FOLDER}/{name}");
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

    fn ask_without_certificate(&self, command: &str) -> Result<String> {
        let ca = format!("{FOLDER}/ca.crt");
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
        self.sh(&format!("umask 077; mkdir -p {FOLDER}"))?;
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            let encoded = secret["data"][file].as_str().context(file)?;
            self.sh(&format!("echo {encoded} | base64 -d > {FOLDER}/{file}"))?;
        }
        Ok(())
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        // What stays goes with the node.
        let _gone = self.sh(&format!("rm -rf {FOLDER}"));
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
        server: scene.node_ip(&workers[0]).await?,
        server_name: format!("{}.{}.{}", workers[0], cluster.trim(), names::HUBBLE_DOMAIN),
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
    for command in ["status", "observe"] {
        assert!(
            client.ask_without_certificate(command).is_err(),
            "{command}"
        );
        assert!(client.ask(command, &[]).is_err(), "{command} without TLS");
    }
    Ok(())
}
