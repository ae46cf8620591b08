//! Tests 1 and 16 of the security reference: every listener is declared, and those that ask for proof get it or close.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene,
    listeners::{Place, declared, observed},
    platform,
    pods::Playground,
    wait::{Progress, until},
};
use gloonet_lab::Spot;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};

/// A pod that is being replaced has listeners late, or twice.
const SETTLED: Duration = Duration::from_mins(1);
const MESH: &str = gloonet_api::MESH_NAMESPACE;

#[tokio::test]
async fn what_listens_is_what_the_threat_model_says() -> Result<()> {
    let scene = Scene::open().await?;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/threat-model.md");
    let declared = declared(&fs::read_to_string(page).context("read the threat model")?)?;
    until("listeners are as declared", SETTLED, async || {
        let observed = observed(&scene.lab)?;
        let undeclared = observed
            .difference(&declared)
            .map(|one| format!("not declared: {one}"));
        let missing = declared
            .difference(&observed)
            .map(|one| format!("not there: {one}"));
        let differences: Vec<String> = undeclared.chain(missing).collect();
        Ok(Progress::when(
            differences.is_empty(),
            differences.join("\n"),
        ))
    })
    .await
}

#[tokio::test]
async fn the_agents_socket_is_for_root_alone() -> Result<()> {
    let scene = Scene::open().await?;
    for node in scene.nodes().await? {
        let said = scene.in_node(
            &node,
            &["stat", "--format=%a %u", "/var/run/cilium/cilium.sock"],
        )?;
        assert_eq!(said.trim(), "600 0", "on node {node}");
    }
    Ok(())
}

#[tokio::test]
async fn redis_is_reached_by_no_strange_pod_and_tells_nothing_to_who_has_no_password() -> Result<()>
{
    let scene = Scene::open().await?;
    let redis = pod_ip(&scene, "app=gloo-mesh-redis").await?;
    let ask = ["timeout", "5", "redis-cli", "-h", &redis, "get", "anything"];
    let stranger = from_a_pod(&scene, "redis-denied", &ask).await?;
    assert!(!stranger.contains("NOAUTH"), "{stranger}");
    // The operator asks from a node, so nodes reach it; without the password that is all.
    let workers = scene.workers().await?;
    let argv = ask.iter().map(ToString::to_string).collect();
    let mut command = scene
        .lab
        .command_at(&Spot::Node(workers[0].clone()), argv)?;
    let output = command.output().context("run redis-cli on a node")?;
    let node = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(node.contains("NOAUTH"), "{node}");
    Ok(())
}

#[tokio::test]
async fn the_gateway_ends_a_connection_without_a_client_certificate() -> Result<()> {
    let scene = Scene::open().await?;
    let gateway = pod_ip(&scene, "app=gloo-telemetry-gateway").await?;
    // In TLS 1.3 the refusal comes after the handshake, so the client has to stay for it.
    let command = format!(
        "sleep 3 | timeout 10 openssl s_client -alpn h2 -tls1_3 -connect {gateway}:4317 2>&1"
    );
    let said = from_a_pod(&scene, "otlp-denied", &["sh", "-c", &command]).await?;
    assert!(said.contains("certificate required"), "{said}");
    Ok(())
}

/// What anybody may connect to. Who does has to show a certificate or a token before anything is read.
const FOR_ALL: [(&str, u16); 4] = [
    ("gloo-mesh-mgmt-server", 9900),
    ("gloo-telemetry-gateway", 4317),
    ("gloo-telemetry-gateway", 4320),
    ("hubble-relay", 4245),
];

/// Name and address of every pod of the platform that has a network of its own.
async fn pods_of_their_own(scene: &Scene) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for namespace in platform::NAMESPACES {
        let pods: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
        let ours = ListParams::default().labels(platform::COMPONENT);
        for pod in pods.list(&ours).await? {
            let labels = pod.labels();
            let name = labels.get("app").or_else(|| labels.get("k8s-app"));
            let name = name.context("a pod without a name")?.clone();
            let on_host = pod.spec.as_ref().and_then(|spec| spec.host_network);
            let address = pod.status.as_ref().and_then(|status| status.pod_ip.clone());
            if on_host != Some(true) {
                found.push((name, address.context("a pod without an address")?));
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn a_strange_pod_reaches_the_ports_that_ask_for_proof_and_no_other_of_any_pod() -> Result<()>
{
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/threat-model.md");
    let declared = declared(&fs::read_to_string(page).context("read the threat model")?)?;
    let ports: BTreeSet<u16> = declared
        .iter()
        .filter(|one| one.place == Place::Pod && one.bound == "any")
        .filter_map(|one| one.socket.strip_suffix("/tcp")?.parse().ok())
        .collect();
    assert!(ports.len() > 15, "{ports:?}");
    let pods = pods_of_their_own(&scene).await?;
    let mut script = Vec::new();
    for (name, address) in &pods {
        for port in &ports {
            let connect = format!("timeout 5 bash -c '</dev/tcp/{address}/{port}' 2>/dev/null");
            script.push(format!("({connect} && echo {name} {port}) &"));
        }
    }
    script.push("wait".to_owned());
    let script = script.join("\n");
    let said = from_a_pod(&scene, "every-port", &["bash", "-c", &script]).await?;
    let reached: BTreeSet<&str> = said.lines().collect();
    let wanted = FOR_ALL.map(|(name, port)| format!("{name} {port}"));
    assert_eq!(reached, wanted.iter().map(String::as_str).collect());
    Ok(())
}

async fn pod_ip(scene: &Scene, selector: &str) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), MESH);
    let found = pods.list(&ListParams::default().labels(selector)).await?;
    let ip = found
        .items
        .iter()
        .find_map(|pod| pod.status.as_ref()?.pod_ip.clone());
    ip.with_context(|| format!("no pod {selector} has an address"))
}

/// Runs one of the machine's programs in the network of a pod that has no rights and no Secrets; returns all it said.
async fn from_a_pod(scene: &Scene, name: &str, argv: &[&str]) -> Result<String> {
    let playground = Playground::start(scene, name).await?;
    let workers = scene.workers().await?;
    let pod = playground.talker("stranger", &workers[0]).await?;
    let argv = argv.iter().map(ToString::to_string).collect();
    let mut command: Command = scene.lab.command_at(&Spot::Pod(pod.ip), argv)?;
    let output = command
        .output()
        .context("run a program in a pod's network")?;
    playground.end().await?;
    Ok(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
