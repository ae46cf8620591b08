//! Services reached by the host outside the cluster: at nodes' ports, and at addresses that no host has.

use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail};
use gloonet_e2e::{
    Scene,
    pods::{HTTP, Playground},
    wait::{Progress, until},
};
use gloonet_lab::Spot;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{Api, api::PostParams};
use serde_json::{Value, json};

/// As long as a datapath may take to follow a Service.
const FOLLOWED: std::time::Duration = std::time::Duration::from_secs(20);

/// What a talker behind a Service tells the host outside.
pub(crate) fn ask(scene: &Scene, host: &str, port: u16, question: &str) -> Result<String> {
    let script = format!(
        "exec 3<>/dev/tcp/{host}/{port} && printf 'GET /{question} HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    );
    let argv = ["timeout", "4", "bash", "-c", &script].map(str::to_owned);
    let mut command = scene.lab.command_at(&Spot::Outside, argv.to_vec())?;
    let output = command.output().context("run bash outside")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    match said.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.trim().to_owned()),
        _ => bail!(
            "{host}:{port}: {} {said} {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ),
    }
}

/// Asks until an answer comes: the datapaths follow in the background.
pub(crate) async fn ask_patiently(
    scene: &Scene,
    host: &str,
    port: u16,
    question: &str,
) -> Result<String> {
    until(
        &format!("an answer of {host}:{port}"),
        FOLLOWED,
        async || {
            let answer = ask(scene, host, port, question);
            let how = format!("{answer:?}");
            Ok(Progress::of(answer.ok(), how))
        },
    )
    .await
}

pub(crate) async fn make(ground: &Playground<'_>, scene: &Scene, spec: Value) -> Result<Service> {
    let mut service = json!({"metadata": {"name": "web"}, "spec": {
        "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": HTTP}]}});
    for (field, value) in spec.as_object().context("an object")? {
        service["spec"][field] = value.clone();
    }
    let services: Api<Service> = Api::namespaced(scene.client.clone(), &ground.namespace);
    let service = serde_json::from_value(service)?;
    let made = services.create(&PostParams::default(), &service).await;
    made.context("make a Service")
}

fn node_port(service: &Service) -> Result<u16> {
    let spec = service.spec.as_ref().context("a spec")?;
    let port = spec.ports.iter().flatten().find_map(|port| port.node_port);
    Ok(u16::try_from(port.context("a node port")?)?)
}

#[tokio::test]
async fn a_node_port_answers_at_every_node_and_each_backend_gets_its_share() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "node-port").await?;
    ground.talker("web-1", &workers[0]).await?;
    ground.talker("web-2", &workers[1]).await?;
    let port = node_port(&make(&ground, &scene, json!({"type": "NodePort"})).await?)?;
    for node in &workers {
        let node = scene.node_ip(node).await?;
        let mut seen = vec![ask_patiently(&scene, &node, port, "hostname").await?];
        for _ in 0..30 {
            seen.push(ask(&scene, &node, port, "hostname")?);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen, ["web-1", "web-2"], "{node}:{port}");
    }
    ground.end().await
}

#[tokio::test]
async fn with_external_traffic_policy_local_the_backend_sees_the_client_and_other_nodes_are_silent()
-> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "etp-local").await?;
    ground.talker("web-1", &workers[0]).await?;
    let spec = json!({"type": "NodePort", "externalTrafficPolicy": "Local"});
    let port = node_port(&make(&ground, &scene, spec).await?)?;
    let here = scene.node_ip(&workers[0]).await?;
    let [a, b, c, _] = here.parse::<Ipv4Addr>()?.octets();
    let outside = Ipv4Addr::new(a, b, c, 1);
    let client = ask_patiently(&scene, &here, port, "clientip").await?;
    assert!(client.starts_with(&format!("{outside}:")), "{client}");
    let there = scene.node_ip(&workers[1]).await?;
    // Until its agent has the Service with its backends it refuses.
    until("a node without a backend is silent", FOLLOWED, async || {
        let said = ask(&scene, &there, port, "hostname").map_err(|error| error.to_string());
        let silent = (said.as_ref()).is_err_and(|said| !said.contains("refused"));
        Ok(Progress::when(silent, format!("{said:?}")))
    })
    .await?;
    ground.end().await
}

#[tokio::test]
async fn a_node_port_whose_last_backend_is_gone_refuses() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "refused").await?;
    let port = node_port(&make(&ground, &scene, json!({"type": "NodePort"})).await?)?;
    let node = scene.node_ip(&workers[0]).await?;
    until("the port refuses", FOLLOWED, async || {
        let answer = ask(&scene, &node, port, "hostname");
        let said = format!("{answer:?}");
        Ok(Progress::when(said.contains("Connection refused"), said))
    })
    .await?;
    ground.end().await
}

#[tokio::test]
async fn a_host_port_leads_to_its_pod() -> Result<()> {
    const PORT: u16 = 18_400;
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "host-port").await?;
    let image = gloonet_e2e::pods::AGNHOST;
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {"nodeName": workers[0], "terminationGracePeriodSeconds": 0, "containers": [{
            "name": "main", "image": image, "args": ["netexec"],
            "ports": [{"containerPort": HTTP, "hostPort": PORT}],
            "readinessProbe": {"httpGet": {"path": "/", "port": HTTP}, "periodSeconds": 1},
        }]},
    }))?;
    ground.pods().create(&PostParams::default(), &pod).await?;
    ground.ready("web").await?;
    let node = scene.node_ip(&workers[0]).await?;
    let name = ask_patiently(&scene, &node, PORT, "hostname").await?;
    assert_eq!(name, "web");
    ground.end().await
}

/// Answers of the port at which kube-proxy tells load balancers whether to send here.
async fn is_told(scene: &Scene, node: &str, path: &str, good: bool) -> Result<()> {
    let port = cilium_api::names::SERVICE_HEALTH_PORT;
    until(
        &format!("{node}:{port}/{path} is good: {good}"),
        FOLLOWED,
        async || {
            let answer = ask(scene, node, port, path);
            let how = format!("{answer:?}");
            let right = match answer {
                Ok(body) => good && body.contains("\"nodeEligible\""),
                Err(error) => !good && error.to_string().contains(" 503 "),
            };
            Ok(Progress::when(right, how))
        },
    )
    .await
}

#[tokio::test]
async fn load_balancers_are_told_early_that_a_node_goes_away() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let node = scene.node_ip(&workers[1]).await?;
    is_told(&scene, &node, "healthz", true).await?;
    // Any effect will do; this one keeps no pod away.
    let taint = "ToBeDeletedByClusterAutoscaler";
    let mark = format!("{taint}=now:PreferNoSchedule");
    scene.kubectl(&["taint", "node", &workers[1], &mark])?;
    let told = is_told(&scene, &node, "healthz", false).await;
    let lives = is_told(&scene, &node, "livez", true).await;
    scene.kubectl(&["taint", "node", &workers[1], &format!("{taint}-")])?;
    told.and(lives)?;
    is_told(&scene, &node, "healthz", true).await
}
