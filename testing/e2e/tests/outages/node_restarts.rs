//! Test 61 of the security reference: kubelet, containerd and agent of a node die, what the agent keeps is half written, and
//! then the node loses its power.

use std::{fs::File, path::Path, time::Duration};

use anyhow::{Context, Result, ensure};
use cilium_api::names;
use gloonet_e2e::{
    Scene, agent,
    lines::{Kind, Lines},
    platform,
    pods::{HTTP, Playground, Talker},
    policy::{dropped, open},
    stage::{Stage, both},
    wait::{Progress, until},
};
use gloonet_lab::{Part, Spot};
use k8s_openapi::api::core::v1::Pod;
use serde_json::Value;

/// How long the node has neither kubelet nor containerd: longer than the agent looks away.
const UNATTENDED: Duration = Duration::from_secs(10);
/// Time in which a node that was off runs its pods again. In the lab a kubelet hears of its node, and so of its pods, a minute and
/// a half after the power is back.
const BOOTED: Duration = Duration::from_mins(5);
/// Time in which everything is healthy after a node was off, whatever ran there.
const RESTORED: Duration = Duration::from_mins(5);

/// Neither is asked: what they would put in order first stays as it is.
async fn without_kubelet_and_containerd(scene: &Scene, node: &str) -> Result<()> {
    let killed = ["pkill", "-KILL", "-x", "kubelet|containerd"];
    scene.in_node(node, &killed)?;
    tokio::time::sleep(UNATTENDED).await;
    // Starts what does not run, both of them.
    scene.lab.node(node)?.restart(Part::Kubelet)?;
    Ok(())
}

/// Every file of the agent's state is damaged in another way, one endpoint's among them. The node's own is asked for again, and
/// the endpoint stays as the kernel has it and learns its pod's name from its address.
async fn half_written(scene: &Scene, node: &str, victim: &Talker) -> Result<()> {
    let damage = format!(
        "cd {}/state && file=$(grep -lF '\"{}\"' endpoints/*.json) && truncate -s 40 $file && \
         printf '{{\"ip\":' > node.json && : > prefixes.json && printf '{{' > endpoints/9999.next",
        names::RUNTIME_DIR,
        victim.ip
    );
    let carried = agent::endpoints(scene, node)?;
    scene.in_node(node, &["sh", "-c", &damage])?;
    let after = agent::kill(scene, node)?.succeeded(scene).await?;
    ensure!(
        carried == after,
        "the agent had the endpoints {carried:?}; after its state was damaged it has {after:?}"
    );
    let what = format!("the endpoint of {} has its pod's name again", victim.name);
    until(&what, Duration::from_secs(20), async || {
        let all: Value = serde_json::from_str(&agent::curl(scene, node, "endpoint", &[])?)?;
        let status = all
            .as_array()
            .context("a list")?
            .iter()
            .map(|one| &one["status"]);
        let ip = victim.ip.to_string();
        let found = status
            .into_iter()
            .find(|status| status["networking"]["addressing"][0]["ipv4"] == ip.as_str());
        let named = found.filter(|status| {
            let pod = status["external-identifiers"]["k8s-pod-name"].as_str();
            let identity = status["identity"]["id"].as_u64();
            pod == Some(&victim.name) && identity.is_some_and(|number| number > u64::from(u8::MAX))
        });
        Ok(Progress::when(named.is_some(), format!("{found:?}")))
    })
    .await
}

/// The name of the container that a talker runs in now, once it is ready.
async fn container(ground: &Playground<'_>, name: &str) -> Result<String> {
    let pod: Pod = ground.pods().get(name).await?;
    let status = pod.status.context("a status")?;
    let containers = status.container_statuses.unwrap_or_default();
    let first = containers.into_iter().next().context("a container")?;
    ensure!(first.ready, "{name} is not ready: {:?}", first.state);
    first.container_id.context("the name of a container")
}

/// Lines between the nodes that stay: from the host of one into a pod of the other, and between pods there.
async fn lines_elsewhere(scene: &Scene, stage: &Stage<'_>) -> Result<Lines> {
    let (ground, node) = (stage.ground, &stage.nodes[1]);
    let witness = ground.talker("witness", node).await?;
    let client = ground.talker("client-far", node).await?;
    let stranger = ground.talker("stranger-far", node).await?;
    let others = scene.nodes().await?;
    let host = others.first().context("a control plane")?;
    let (host_spot, client_spot) = (Spot::Node(host.clone()), Spot::Pod(client.ip));
    let mut lines = Lines::default();
    for (name, spot, to) in [
        (host, &host_spot, &witness),
        (&client.name, &client_spot, &stage.far),
    ] {
        for kind in [Kind::Old, Kind::New] {
            lines.open(scene, kind, (name, spot), (&to.name, to.ip, HTTP))?;
        }
    }
    let stranger = (stranger.name.as_str(), &Spot::Pod(stranger.ip));
    let far = (stage.far.name.as_str(), stage.far.ip, HTTP);
    lines.open(scene, Kind::Closed, stranger, far)?;
    lines.begun().await?;
    Ok(lines)
}

/// As if a write had been cut off in the middle.
fn cut_in_half(path: &Path) -> Result<()> {
    let work = || -> std::io::Result<()> {
        let file = File::options().write(true).open(path)?;
        file.set_len(file.metadata()?.len() / 2)
    };
    work().with_context(|| format!("cut {} in half", path.display()))
}

/// The power fails, and what is on the disk of our plugin is half written. `/run`, with the agent's state, is gone anyway.
fn power_cut(scene: &Scene, node: &str) -> Result<()> {
    let machine = scene.lab.node(node)?;
    machine.stop(Part::Whole)?;
    let disk = scene.lab.dir().node(node);
    let plugin = disk.join("opt-cni/bin").join(names::CNI_BIN);
    let configuration = disk.join("etc-cni/net.d").join(names::CNI_CONF);
    let damaged = both(cut_in_half(&plugin), cut_in_half(&configuration));
    both(damaged, machine.restart(Part::Whole).context("power on"))
}

/// Waits until a talker runs in another container than before; it may have another address.
async fn again(ground: &Playground<'_>, name: &str, before: &str) -> Result<Talker> {
    let what = format!("{name} runs in another container than {before}");
    until(&what, BOOTED, async || {
        let now = container(ground, name).await?;
        Ok(Progress::when(now != before, now))
    })
    .await?;
    ground.ready(name).await
}

/// The pods of the node are the same pods, with network and policy.
async fn booted(scene: &Scene, stage: &Stage<'_>, before: &[(&str, String)]) -> Result<()> {
    let ground = stage.ground;
    let mut talkers = Vec::new();
    for (name, container) in before {
        talkers.push(again(ground, name, container).await?);
    }
    let [near, client, stranger] = &talkers[..] else {
        anyhow::bail!("not three pods: {talkers:?}");
    };
    let table = [
        open(client, near),
        open(client, &stage.far),
        dropped(stranger, near),
        dropped(stranger, &stage.far),
    ];
    ground
        .holds("only clients are let in again", &table)
        .await?;
    let service = stage.service.to_string();
    ground
        .ask_patiently(client, "http", &service, 80, "hostname")
        .await?;
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    until("the node is Ready", BOOTED, async || {
        let said = scene.kubectl(&["get", "node", &stage.nodes[0], "-o", ready])?;
        Ok(Progress::when(said == "True", said))
    })
    .await
}

#[tokio::test]
async fn a_node_that_loses_its_processes_and_then_its_power_starts_clean_and_others_notice_nothing()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    Stage::during(&scene, "restarts", async |stage| {
        let node = &stage.nodes[0];
        let victim = stage.ground.talker("victim", node).await?;
        let lines = stage.lines().await?;
        let mut outcome = without_kubelet_and_containerd(&scene, node).await;
        if outcome.is_ok() {
            outcome = half_written(&scene, node, &victim).await;
        }
        both(outcome, lines.end())?;

        let mut before = Vec::new();
        for talker in [&stage.near, &stage.client, &stage.stranger] {
            // After a restart the kubelet says of nothing that it is ready before its first probe.
            stage.ground.ready(&talker.name).await?;
            let container = container(stage.ground, &talker.name).await?;
            before.push((talker.name.as_str(), container));
        }
        let lines = lines_elsewhere(&scene, stage).await?;
        let mut outcome = power_cut(&scene, node);
        if outcome.is_ok() {
            outcome = booted(&scene, stage, &before).await;
        }
        both(outcome, lines.end())?;
        agent::carry_what_runs(&scene, &stage.nodes).await
    })
    .await?;
    platform::settled(&scene, RESTORED).await?;
    agent::carry_what_runs(&scene, &scene.nodes().await?).await
}
