//! Cilium's cluster health: agents ask each other, and `cilium-health` tells what came of it.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{
    Scene,
    pods::Playground,
    tokens,
    wait::{Progress, until},
};
use gloonet_lab::Spot;
use serde_json::Value;

/// An agent that was started a moment ago learns of the others first.
const LEARNED: Duration = Duration::from_mins(1);

/// What a program in the container of a node's agent prints.
async fn in_agent(scene: &Scene, node: &str, command: &[&str]) -> Result<String> {
    let pod = tokens::pod_on(scene, names::NAMESPACE, names::AGENT_SELECTOR, node).await?;
    let pod = pod.metadata.name.context("a name")?;
    let into = [
        "exec",
        "--namespace",
        names::NAMESPACE,
        &pod,
        "--container",
        names::AGENT_CONTAINER,
        "--",
    ];
    scene.kubectl(&[&into[..], command].concat())
}

/// Nodes of which both addresses answered in both ways, by their names without the cluster's.
fn reached(status: &Value) -> Result<BTreeSet<String>> {
    let mut reached = BTreeSet::new();
    for node in status["nodes"].as_array().context("a list of nodes")? {
        let well = ["host", "health-endpoint"].iter().all(|kind| {
            let address = &node[kind]["primary-address"];
            ["icmp", "http"].iter().all(|way| {
                let probed = &address[way];
                // Empty and absent mean the same to cilium-cli.
                let wrong = probed["status"].as_str().unwrap_or_default();
                wrong.is_empty() && probed["latency"].as_u64().is_some_and(|took| took > 0)
            })
        });
        let name = node["name"].as_str().context("a name")?;
        if well {
            let (_, name) = name.rsplit_once('/').context("cluster/node")?;
            reached.insert(name.to_owned());
        }
    }
    Ok(reached)
}

#[tokio::test]
async fn every_agent_reaches_every_node_at_both_addresses_in_both_ways() -> Result<()> {
    let scene = Scene::open().await?;
    let nodes: BTreeSet<String> = scene.nodes().await?.into_iter().collect();
    for node in &nodes {
        let what = format!("the agent of {node} reaches every node");
        until(&what, LEARNED, async || {
            // Word by word as cilium-cli asks.
            let ask = ["cilium-health", "status", "--probe", "-o=json"];
            let said = in_agent(&scene, node, &ask).await?;
            let status: Value = serde_json::from_str(&said).context("JSON")?;
            Ok(Progress::when(reached(&status)? == nodes, said))
        })
        .await?;
        assert_eq!(
            in_agent(&scene, node, &["cilium-health", "ping"]).await?,
            "OK\n"
        );
        let status = in_agent(&scene, node, &["cilium", "status"]).await?;
        let all = format!("{0}/{0} reachable", nodes.len());
        assert!(status.contains(&all), "{node}: {status}");
    }
    Ok(())
}

#[tokio::test]
async fn a_pod_gets_no_answer_where_agents_ask_each_other() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "health-denied").await?;
    let pod = ground.talker("stranger", &workers[0]).await?;
    let port = names::CLUSTER_HEALTH_PORT;
    // Its own node sees it as itself. Another one would see its node in its place.
    let address = scene.node_ip(&workers[0]).await?;
    let url = format!("http://{address}:{port}/hello");
    let argv = ["curl", "--silent", "--max-time", "5", &url];
    let argv = argv.iter().map(ToString::to_string).collect();
    let mut command = scene.lab.command_at(&Spot::Pod(pod.ip), argv)?;
    let output = command.output().context("run curl in a pod's network")?;
    ground.end().await?;
    assert!(
        !output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
    // Closed, and neither refused nor left waiting: 52 is "empty reply", 56 a connection that was reset.
    let code = output.status.code();
    assert!(matches!(code, Some(52 | 56)), "{output:?}");
    Ok(())
}
