//! A pod that is given other labels while it runs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene,
    beat::Beat,
    pods::{Playground, Talker, UDP},
    policy::{EFFECTIVE, dropped, open},
    wait::{Progress, until},
};
use gloonet_lab::Spot;

/// Nothing for so long is silence, and no answer that was lost.
const SILENCE: Duration = Duration::from_secs(3);

/// The cluster, and two of its workers.
async fn scene() -> Result<(Scene, [String; 2])> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let [one, other, ..] = &workers[..] else {
        anyhow::bail!("two workers are needed: {workers:?}");
    };
    let workers = [one.clone(), other.clone()];
    Ok((scene, workers))
}

#[tokio::test]
async fn what_is_open_ends_soon_after_its_peer_on_another_node_became_somebody_else() -> Result<()>
{
    let (scene, workers) = scene().await?;
    let ground = Playground::start(&scene, "np-relabel").await?;
    let server = ground.talker("server", &workers[1]).await?;
    ground.network_policy(
        "allow",
        "{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}",
    )?;
    let friend = ground.talker("friend", &workers[0]).await?;
    ground
        .holds("the friend is in", &[open(&friend, &server).over_udp()])
        .await?;
    let beat = Beat::begin(&scene, &Spot::Pod(friend.ip), (server.ip, UDP))?;
    until("the server answers all the time", EFFECTIVE, async || {
        let heard = beat.heard();
        Ok(Progress::when(heard.answers > 100, format!("{heard:?}")))
    })
    .await?;

    ground.label("friend", "app=stranger")?;
    let changed = Instant::now();
    let last = until(
        "what is open falls silent",
        EFFECTIVE + SILENCE,
        async || {
            let last = beat.heard().last.context("an answer")?;
            let quiet = last.elapsed();
            Ok(Progress::of(
                (quiet > SILENCE).then_some(last),
                format!("quiet for {quiet:?}"),
            ))
        },
    )
    .await?;
    let delay = last.saturating_duration_since(changed);
    println!("the last answer came {delay:?} after the label was changed");
    ground
        .holds(
            "the stranger is out",
            &[dropped(&friend, &server).over_udp()],
        )
        .await?;
    assert_eq!(beat.end()?.last, Some(last), "it was answered again");
    ground.end().await
}

/// Waits until somebody is told that labels of a pod do not count.
async fn told(scene: &Scene, ground: &Playground<'_>, pod: &Talker, label: &str) -> Result<()> {
    let about = format!("involvedObject.name={},reason=ReservedLabels", pod.name);
    let arguments = [
        "get",
        "events",
        "--namespace",
        &ground.namespace,
        "--field-selector",
        &about,
        "-o",
        "jsonpath={range .items[*]}{.message}{\"\\n\"}{end}",
    ];
    let what = format!("an event says that {label} does not count");
    until(&what, EFFECTIVE, async || {
        let said = scene.kubectl(&arguments)?;
        Ok(Progress::when(said.contains(label), said))
    })
    .await
}

/// Test 31 of the security reference.
#[tokio::test]
async fn a_running_pod_that_claims_another_namespace_or_to_be_the_host_is_told_and_stays_out()
-> Result<()> {
    let (scene, workers) = scene().await?;
    let inside = Playground::start(&scene, "np-claimed").await?;
    let outside = Playground::start(&scene, "np-claimant").await?;
    let server = inside.talker("server", &workers[1]).await?;
    let neighbour = inside.talker("neighbour", &workers[0]).await?;
    let claimant = outside.talker("claimant", &workers[0]).await?;
    let namespace = &inside.namespace;
    inside.cilium_policy(
        "own-and-host",
        &format!(
            "{{endpointSelector: {{matchLabels: {{app: server}}}}, ingress: [\
             {{fromEndpoints: [{{matchLabels: {{\"k8s:io.kubernetes.pod.namespace\": {namespace}}}}}]}}, \
             {{fromEntities: [host, remote-node]}}, \
             {{fromEndpoints: [{{matchLabels: {{\"k8s:io.kubernetes.pod.namespace\": {}, turn: seen}}}}], \
             toPorts: [{{ports: [{{port: \"{UDP}\", protocol: UDP}}]}}]}}]}}",
            outside.namespace
        ),
    )?;
    inside
        .holds("its own are in", &[open(&neighbour, &server)])
        .await?;
    outside
        .holds("another is out", &[dropped(&claimant, &server)])
        .await?;
    for (key, value) in [
        ("io.kubernetes.pod.namespace", namespace.as_str()),
        ("reserved.host", "true"),
    ] {
        outside.label("claimant", "turn=none")?;
        let turn = dropped(&claimant, &server).over_udp();
        outside.holds("an honest label is gone", &[turn]).await?;
        outside.label("claimant", &format!("{key}={value} turn=seen"))?;
        told(&scene, &outside, &claimant, key).await?;
        // What came with it counts, so that it is not too early to say that the forged one does not.
        let turn = open(&claimant, &server).over_udp();
        outside.holds("an honest label counts", &[turn]).await?;
        let nothing = [dropped(&claimant, &server)];
        outside
            .holds(&format!("{key} opens nothing"), &nothing)
            .await?;
    }
    outside.end().await?;
    inside.end().await
}
