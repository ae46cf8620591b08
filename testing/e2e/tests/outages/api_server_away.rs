//! Test 57 of the security reference: the API server is away for minutes, pods come and go before and after. kubectl reaches
//! nobody meanwhile, so whatever is asked then is asked from the machine.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use gloonet_e2e::{
    Scene, agent, objects, platform,
    policy::dropped,
    stage::{HEARD, Stage, both},
    wait::{Progress, until},
};
use k8s_openapi::api::{
    core::v1::Pod,
    discovery::v1::{Endpoint, EndpointSlice},
};
use kube::{Api, ResourceExt, api::ListParams};

/// Longer than the kubelet's probes have patience with an agent.
const AWAY: Duration = Duration::from_mins(3);
/// Time in which Kubernetes' own controllers have caught up: what failed while there was no API server they try again ever later.
const RESUMED: Duration = Duration::from_mins(8);
/// Time in which what is written counts again.
const CONVERGED: Duration = Duration::from_mins(1);

/// A pod that was and one that is to be: the one is just gone and the other just asked for when the API server goes.
async fn churn(stage: &Stage<'_>) -> Result<()> {
    stage.ground.talker("gone", &stage.nodes[1]).await?;
    let pods = stage.ground.pods();
    objects::delete_now(&pods, &pods.get("gone").await?).await?;
    stage.ground.begin("halfway", &stage.nodes[1]).await
}

/// While there is no API server: traffic goes on, and an agent that dies comes back with what it had.
async fn go_on_without(scene: &Scene, stage: &Stage<'_>) -> Result<()> {
    let end = Instant::now() + AWAY;
    let node = &stage.nodes[0];
    let before = agent::endpoints(scene, node)?;
    ensure!(
        before.contains(&stage.client.ip),
        "the client is no endpoint of {node}: {before:?}"
    );
    let after = agent::kill(scene, node)?.succeeded(scene).await?;
    ensure!(
        before == after,
        "the agent that was killed on {node} had {before:?}, its successor has {after:?}"
    );
    let successor = agent::process(scene, node)?;
    while Instant::now() < end {
        for node in &stage.nodes {
            stage.ask_by_socket(node)?;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    let still = agent::process(scene, node)?;
    ensure!(
        still == successor,
        "the agent of {node} was process {successor} and is {still:?}: it was ended for want of an API server"
    );
    Ok(())
}

/// What was written when the API server was back counts in time.
async fn catch_up(stage: &Stage<'_>) -> Result<()> {
    let back = Instant::now();
    let ground = stage.ground;
    let closed = "{podSelector: {matchLabels: {app: client}}, policyTypes: [Ingress]}";
    until("a policy is taken", CONVERGED, async || {
        ground.network_policy("nobody", closed)?;
        Ok(Progress::Done(()))
    })
    .await?;
    let nobody = [dropped(&stage.stranger, &stage.client)];
    until("a policy counts", CONVERGED, async || {
        ground.holds("nobody reaches the client", &nobody).await?;
        Ok(Progress::Done(()))
    })
    .await?;
    let took = back.elapsed();
    ensure!(took <= CONVERGED, "{took:?} until a policy counted");
    let halfway = ground.ready_within("halfway", HEARD).await;
    halfway.context("the pod that was asked for just before")?;
    stage.is_whole("late").await
}

/// Waits until every EndpointSlice says of pods of ours that are ready that they are, for whoever comes next.
async fn endpoints_are_told(scene: &Scene) -> Result<()> {
    let what = "Kubernetes tells of every ready pod as an endpoint";
    until(what, RESUMED, async || {
        let mut late = Vec::new();
        for namespace in platform::NAMESPACES {
            let slices: Api<EndpointSlice> = Api::namespaced(scene.client.clone(), namespace);
            let pods: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
            let ready: Vec<String> = (pods.list(&ListParams::default()).await?.iter())
                .filter(|pod| objects::is_ready(pod))
                .map(ResourceExt::name_any)
                .collect();
            for slice in slices.list(&ListParams::default()).await? {
                let untold = |endpoint: &&Endpoint| {
                    let pod = endpoint
                        .target_ref
                        .as_ref()
                        .and_then(|pod| pod.name.as_ref());
                    let told = endpoint.conditions.as_ref().and_then(|said| said.ready);
                    pod.is_some_and(|pod| ready.contains(pod)) && told == Some(false)
                };
                let untold = slice.endpoints.iter().flatten().filter(untold).count();
                if untold > 0 {
                    late.push(format!("{untold} of {namespace}/{}", slice.name_any()));
                }
            }
        }
        Ok(Progress::when(late.is_empty(), late.join(", ")))
    })
    .await
}

#[tokio::test]
async fn without_an_api_server_traffic_goes_on_as_it_was_and_afterwards_everything_follows()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    Stage::during(&scene, "no-api", async |stage| {
        let lines = stage.lines().await?;
        churn(stage).await?;
        let mut outcome = scene.lab.stop_api().context("stop the API server");
        if outcome.is_ok() {
            outcome = go_on_without(&scene, stage).await;
        }
        // Before it is back: Kubernetes itself may call pods unready whose node it has not heard of for so long.
        let unbroken = lines.end();
        let back = scene.lab.start_api().context("start the API server");
        both(both(outcome, unbroken), back)?;
        catch_up(stage).await
    })
    .await?;
    endpoints_are_told(&scene).await?;
    platform::settled(&scene, platform::HEALED).await?;
    agent::carry_what_runs(&scene, &scene.nodes().await?).await
}
