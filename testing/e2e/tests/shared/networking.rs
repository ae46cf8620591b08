//! Who reaches whom: pods, Services, names, nodes, the world outside.

use std::{
    net::Ipv4Addr,
    process::{Child, Stdio},
};

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene,
    pods::{self, HTTP, Playground, Talker, UDP},
};
use gloonet_lab::Spot;

#[tokio::test]
async fn pods_reach_each_other_on_one_node_and_across_nodes() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "matrix").await?;
    let talkers = [
        ground.talker("a", &workers[0]).await?,
        ground.talker("b", &workers[0]).await?,
        ground.talker("c", &workers[1]).await?,
    ];
    for from in &talkers {
        for to in talkers.iter().filter(|to| to.name != from.name) {
            let ip = to.ip.to_string();
            for (protocol, port) in [("http", HTTP), ("udp", UDP)] {
                let name = ground.ask(from, protocol, &ip, port, "hostname")?;
                assert_eq!(
                    name, to.name,
                    "{} asks {} over {protocol}",
                    from.name, to.name
                );
            }
            let seen = ground.ask(from, "http", &ip, HTTP, "clientip")?;
            assert!(
                seen.starts_with(&format!("{}:", from.ip)),
                "{} sees {seen} instead of {}",
                to.name,
                from.ip
            );
        }
    }
    ground.end().await
}

#[tokio::test]
async fn a_service_answers_over_tcp_and_udp_by_address_and_by_name_from_each_backend() -> Result<()>
{
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "service").await?;
    let address = ground.service("web").await?.to_string();
    let name = format!("web.{}.svc.cluster.local", ground.namespace);
    ground.talker("web-1", &workers[0]).await?;
    ground.talker("web-2", &workers[1]).await?;
    let client = ground.talker("client", &workers[0]).await?;
    for host in [&address, &name] {
        for (protocol, port) in [("http", 80), ("udp", 81)] {
            let first = ground
                .ask_patiently(&client, protocol, host, port, "hostname")
                .await?;
            let mut seen = vec![first];
            for _ in 0..30 {
                seen.push(ground.ask(&client, protocol, host, port, "hostname")?);
            }
            seen.sort();
            seen.dedup();
            assert_eq!(seen, ["web-1", "web-2"], "{protocol}://{host}:{port}");
        }
    }
    ground.end().await
}

#[tokio::test]
async fn a_pod_reaches_itself_through_its_own_service() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "hairpin").await?;
    let address = ground.service("web").await?.to_string();
    let web = ground.talker("web-1", &workers[0]).await?;
    for (protocol, port) in [("http", 80), ("udp", 81)] {
        assert_eq!(
            ground
                .ask_patiently(&web, protocol, &address, port, "hostname")
                .await?,
            "web-1",
            "{protocol}"
        );
    }
    ground.end().await
}

#[tokio::test]
async fn nodes_reach_pods_and_services_and_pods_reach_nodes() -> Result<()> {
    let _hosts = pods::hosts().await;
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "host").await?;
    let address = ground.service("web").await?.to_string();
    let near = ground.talker("web-near", &workers[0]).await?;
    let far = ground.talker("web-far", &workers[1]).await?;
    let host = ground.on_host("host-a", &workers[0]).await?;
    for pod in [&near, &far] {
        assert_eq!(
            ground.ask(&host, "http", &pod.ip.to_string(), HTTP, "hostname")?,
            pod.name,
            "node → pod"
        );
        let back = ground.ask(pod, "http", &host.ip.to_string(), 18_080, "clientip");
        assert!(back.is_ok(), "pod → node: {back:?}");
    }
    ground
        .ask_patiently(&host, "http", &address, 80, "hostname")
        .await
        .context("node → Service")?;
    ground.end().await
}

#[tokio::test]
async fn pods_reach_the_api_server_through_its_service() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "api").await?;
    let client = ground.talker("client", &workers[1]).await?;
    let said = ground.exec(
        &client,
        &[
            "/agnhost",
            "connect",
            "kubernetes.default.svc.cluster.local:443",
            "--timeout=5s",
        ],
    )?;
    assert_eq!(said.trim(), "");
    ground.end().await
}

/// A server beyond the cluster; it ends with the test.
struct Outside(Child);

impl Outside {
    fn start(scene: &Scene, port: u16) -> Result<Self> {
        let argv = [
            "agnhost".to_owned(),
            "netexec".to_owned(),
            format!("--http-port={port}"),
            "--udp-port=-1".to_owned(),
        ];
        let mut command = scene.lab.command_at(&Spot::Outside, argv.to_vec())?;
        let home = std::env::var("GLOONET_HOME")
            .unwrap_or_else(|_| format!("{}/.cache/gloonet", std::env::var("HOME").unwrap()));
        let path = format!("{home}/bin:{}", std::env::var("PATH").unwrap());
        let child = command
            .env("PATH", path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Ok(Self(child.context("start a server outside")?))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_pod_speaks_to_the_outside_under_its_nodes_address() -> Result<()> {
    const PORT: u16 = 18_200;
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "outside").await?;
    let client = ground.talker("client", &workers[0]).await?;
    let _server = Outside::start(&scene, PORT)?;
    let outside = outside_address(&scene.node_ip(&workers[0]).await?)?;
    let seen = ground
        .ask_patiently(&client, "http", &outside.to_string(), PORT, "clientip")
        .await?;
    let node = scene.node_ip(&workers[0]).await?;
    assert!(
        seen.starts_with(&format!("{node}:")),
        "the outside sees {seen} instead of {node}"
    );
    assert!(!seen.contains(&client_ip(&client)), "{seen}");
    ground.end().await
}

/// The router of the nodes' network, `.1` of it.
fn outside_address(node: &str) -> Result<Ipv4Addr> {
    let [a, b, c, _] = node.parse::<Ipv4Addr>()?.octets();
    Ok(Ipv4Addr::new(a, b, c, 1))
}

fn client_ip(client: &Talker) -> String {
    client.ip.to_string()
}
