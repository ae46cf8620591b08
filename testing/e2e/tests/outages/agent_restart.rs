//! Agents restart while pods talk: nothing that runs breaks, and new pods start afterwards.

use std::{
    fmt::Write as _,
    process::{Child, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{
    Scene, objects, platform,
    pods::{HTTP, Playground, Talker},
    policy::dropped,
    tokens,
    wait::{Progress, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;

/// Requests over each old connection: thirty seconds.
const REQUESTS: u32 = 150;

/// New connections one after the other; prints how many were tried and how many failed.
fn many_connections(
    scene: &Scene,
    ground: &Playground<'_>,
    from: &Talker,
    host: &str,
    port: u16,
    seconds: u32,
) -> Result<Child> {
    let script = format!(
        "n=0; f=0; e=$(( $(date +%s) + {seconds} )); while [ $(date +%s) -lt $e ]; do \
         timeout 2 busybox wget -q -O /dev/null http://{host}:{port}/hostname || f=$((f+1)); n=$((n+1)); sleep 0.02; done; echo $n $f"
    );
    start(scene, ground, from, &script)
}

/// One connection with a request every fifth of a second; prints how many answers came.
fn one_connection(
    scene: &Scene,
    ground: &Playground<'_>,
    from: &Talker,
    host: &str,
    requests: u32,
) -> Result<Child> {
    let script = format!(
        "(i=0; while [ $i -lt {requests} ]; do printf 'GET /hostname HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n'; i=$((i+1)); sleep 0.2; done; sleep 1) \
         | busybox nc {host} {HTTP} | grep -c '200 OK'"
    );
    start(scene, ground, from, &script)
}

fn start(scene: &Scene, ground: &Playground<'_>, from: &Talker, script: &str) -> Result<Child> {
    let mut command = scene.lab.kubectl();
    command.args([
        "exec",
        "--namespace",
        &ground.namespace,
        &from.name,
        "--",
        "sh",
        "-c",
        script,
    ]);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("run kubectl exec")
}

fn numbers(child: Child) -> Result<Vec<u32>> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Result<Vec<u32>> = text
        .split_whitespace()
        .map(|n| n.parse().context("a number"))
        .collect();
    numbers.with_context(|| format!("{text}{}", String::from_utf8_lossy(&output.stderr)))
}

async fn replace_agent(scene: &Scene, node: &str) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), names::NAMESPACE);
    let old = tokens::pod_on(scene, names::NAMESPACE, names::AGENT_SELECTOR, node).await?;
    objects::delete_now(&pods, &old).await?;
    until(
        &format!("a new agent on {node} is ready"),
        Duration::from_mins(2),
        async || {
            let pod = tokens::pod_on(scene, names::NAMESPACE, names::AGENT_SELECTOR, node).await?;
            let ready = pod
                .status
                .iter()
                .flat_map(|s| s.conditions.iter().flatten())
                .any(|c| c.type_ == "Ready" && c.status == "True");
            Ok(Progress::when(
                ready && pod.metadata.uid != old.metadata.uid,
                format!("{:?}", pod.status.and_then(|s| s.phase)),
            ))
        },
    )
    .await
}

/// What did not go as it should, one line each.
fn broken(old: Vec<(&str, Child)>, new: Vec<(&str, Child)>) -> Result<String> {
    let mut broken = String::new();
    for (name, child) in old {
        let answers = numbers(child)?;
        if answers != [REQUESTS] {
            writeln!(
                broken,
                "the old connection to {name} had {answers:?} of {REQUESTS} answers"
            )?;
        }
    }
    for (name, child) in new {
        let counted = numbers(child)?;
        assert!(
            counted[0] > 50,
            "only {} connections to {name} were tried",
            counted[0]
        );
        if counted[1] != 0 {
            writeln!(
                broken,
                "{} of {} new connections to {name} failed",
                counted[1], counted[0]
            )?;
        }
    }
    Ok(broken)
}

/// Where agents pin what outlives them.
const PINS: &str = "/sys/fs/bpf/gloonet";

/// Old connections and new ones, between pods and through a Service, while `happen` runs. What failed of them is an error.
async fn talk_through(
    scene: &Scene,
    ground: &Playground<'_>,
    [near, far, client]: [&Talker; 3],
    happen: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let service = ground.service("web").await?.to_string();
    ground
        .ask_patiently(client, "http", &service, 80, "hostname")
        .await?;
    let mut old = Vec::new();
    let mut new = Vec::new();
    for (name, host) in [("near", near.ip.to_string()), ("far", far.ip.to_string())] {
        old.push((
            name,
            one_connection(scene, ground, client, &host, REQUESTS)?,
        ));
        new.push((
            name,
            many_connections(scene, ground, client, &host, HTTP, 28)?,
        ));
    }
    new.push((
        "service",
        many_connections(scene, ground, client, &service, 80, 28)?,
    ));
    tokio::time::sleep(Duration::from_secs(2)).await;
    happen().await?;
    assert_eq!(broken(old, new)?, "");
    Ok(())
}

#[tokio::test]
async fn connections_live_on_and_new_ones_succeed_while_every_agent_is_killed() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "restart").await?;
    let near = ground.talker("web-near", &workers[0]).await?;
    let far = ground.talker("web-far", &workers[1]).await?;
    let client = ground.talker("client", &workers[0]).await?;
    talk_through(&scene, &ground, [&near, &far, &client], async || {
        for worker in &workers {
            replace_agent(&scene, worker).await?;
        }
        Ok(())
    })
    .await?;
    ground
        .talker("late", &workers[1])
        .await
        .context("a pod that starts after the agents came back")?;
    ground.end().await
}

#[tokio::test]
async fn connections_and_policies_live_on_while_agents_fill_maps_of_another_layout() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "layout").await?;
    let near = ground.talker("web-near", &workers[0]).await?;
    let far = ground.talker("web-far", &workers[1]).await?;
    let client = ground.talker("client", &workers[0]).await?;
    ground.network_policy(
        "closed",
        "{podSelector: {matchLabels: {app: client}}, policyTypes: [Ingress]}",
    )?;
    let closed = [dropped(&near, &client), dropped(&far, &client)];
    ground.holds("nobody reaches the client", &closed).await?;

    talk_through(&scene, &ground, [&near, &far, &client], async || {
        for worker in &workers {
            // To the next agent, what runs is of another release.
            let disown = format!("cd {PINS} && mv maps-v* maps-v0 && mv live-v* live-v0 && ls");
            scene.in_node(worker, &["sh", "-c", &disown])?;
            replace_agent(&scene, worker).await?;
            let left = scene.in_node(worker, &["ls", PINS])?;
            assert!(
                left.contains("live-v") && !left.contains("-v0"),
                "on {worker} the old maps are still there: {left}"
            );
        }
        Ok(())
    })
    .await?;
    ground
        .holds("nobody reaches the client still", &closed)
        .await?;
    ground
        .talker("late", &workers[1])
        .await
        .context("a pod that starts after the agents took over")?;
    ground.end().await
}
