//! The moments in which isolation is easily lost: a pod's first packet, an address with a new owner, a namespace that ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use gloonet_e2e::{
    Scene, objects,
    pods::{AGNHOST, HTTP, Playground, Talker},
    policy::{self, dropped, open},
    wait::{Progress, until},
};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

/// A pod whose very first act, in an init container, is to knock; it says so when somebody opens.
fn knocker(name: &str, node: &str, address: &str) -> Result<Pod> {
    let knock = format!(
        "for i in 1 2 3 4 5 6 7 8; do /agnhost connect {address} --timeout=250ms 2>/dev/null && echo OPEN; done; echo END"
    );
    let pod = json!({
        // A label of its own makes an identity nobody has seen before.
        "metadata": {"name": name, "labels": {"app": "knocker", "number": name}},
        "spec": {
            "nodeName": node, "terminationGracePeriodSeconds": 0, "restartPolicy": "Never",
            "initContainers": [{"name": "knock", "image": AGNHOST, "command": ["sh", "-c", knock]}],
            "containers": [{"name": "rest", "image": AGNHOST, "args": ["pause"]}],
        },
    });
    Ok(serde_json::from_value(pod)?)
}

/// What a knocker saw.
async fn knocked(scene: &Scene, ground: &Playground<'_>, name: &str) -> Result<String> {
    let arguments = [
        "logs",
        "--namespace",
        &ground.namespace,
        name,
        "--container",
        "knock",
    ];
    until("the knocker is done", Duration::from_mins(1), async || {
        let said = scene.kubectl(&arguments)?;
        Ok(Progress::of(
            said.contains("END").then_some(said.clone()),
            said,
        ))
    })
    .await
}

/// Test 3 of the security reference.
#[tokio::test]
async fn a_pod_is_isolated_before_its_first_container_starts() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let outside = Playground::start(&scene, "np-door").await?;
    let server = outside.talker("server", &workers[1]).await?;
    let address = format!("{}:{HTTP}", server.ip);
    let free = Playground::start(&scene, "np-free").await?;
    let closed = Playground::start(&scene, "np-closed").await?;
    closed.network_policy("deny", "{podSelector: {}, policyTypes: [Egress]}")?;

    let made = PostParams::default();
    free.pods()
        .create(&made, &knocker("free", &workers[0], &address)?)
        .await?;
    let said = knocked(&scene, &free, "free").await?;
    assert!(
        said.contains("OPEN"),
        "without a policy nobody opened: {said}"
    );
    for number in 0..8 {
        let name = format!("closed-{number}");
        let pod = knocker(&name, &workers[number % 2], &address)?;
        closed.pods().create(&made, &pod).await?;
        let said = knocked(&scene, &closed, &name).await?;
        assert!(!said.contains("OPEN"), "{name} got out: {said}");
    }
    for ground in [outside, free, closed] {
        ground.end().await?;
    }
    Ok(())
}

/// The pod that gets the address of one that is gone. A pod that ends elsewhere on the node may give its address back just before
/// that one in the round, so there may be several tries.
async fn heir(scene: &Scene, ground: &Playground<'_>, gone: &Talker) -> Result<Talker> {
    for number in 0..5 {
        policy::make_next(scene, &gone.node, &gone.ip.to_string())?;
        let heir = ground.talker(&format!("heir-{number}"), &gone.node).await?;
        if heir.ip == gone.ip {
            return Ok(heir);
        }
    }
    bail!("no heir got the address {}", gone.ip)
}

/// Test 9 of the security reference.
#[tokio::test]
async fn who_gets_an_address_at_once_does_not_get_its_last_owners_rights() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "np-again").await?;
    let server = ground.talker("server", &workers[1]).await?;
    ground.network_policy(
        "allow",
        "{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}]}]}",
    )?;
    let friend = ground.talker("friend", &workers[0]).await?;
    ground
        .holds("the friend is in", &[open(&friend, &server)])
        .await?;

    let pod = ground.pods().get("friend").await?;
    objects::delete_now(&ground.pods(), &pod).await?;
    let heir = heir(&scene, &ground, &friend).await?;
    // Not "until it is closed": the first packet already must not come through.
    let first = ground.exec(
        &heir,
        &[
            "/agnhost",
            "connect",
            &format!("{}:{HTTP}", server.ip),
            "--timeout=1s",
        ],
    );
    assert!(first.is_err(), "the heir's first packet was let in");
    ground
        .holds("the heir is not in", &[dropped(&heir, &server)])
        .await?;
    ground.end().await
}

/// A talker that takes its time to end.
fn slow_talker(node: &str) -> Result<Pod> {
    let script =
        format!("trap '' TERM; /agnhost netexec --http-port={HTTP} & while :; do sleep 1; done");
    let pod = json!({
        "metadata": {"name": "slow", "labels": {"app": "slow"}},
        "spec": {
            "nodeName": node, "terminationGracePeriodSeconds": 55,
            "containers": [{
                "name": "talker", "image": AGNHOST, "command": ["sh", "-c", script],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": HTTP}, "periodSeconds": 1},
            }],
        },
    });
    Ok(serde_json::from_value(pod)?)
}

/// Test 35 of the security reference.
#[tokio::test]
async fn isolation_outlives_a_deleted_namespace_until_its_last_pod_is_gone() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let outside = Playground::start(&scene, "np-watcher").await?;
    let watcher = outside.talker("watcher", &workers[1]).await?;
    let ending = Playground::start(&scene, "np-ending").await?;
    ending
        .pods()
        .create(&PostParams::default(), &slow_talker(&workers[0])?)
        .await?;
    let slow = ending.ready("slow").await?;
    outside
        .holds("the pod answers", &[open(&watcher, &slow)])
        .await?;
    ending.network_policy("deny", "{podSelector: {}, policyTypes: [Ingress]}")?;
    outside
        .holds("the pod is closed", &[dropped(&watcher, &slow)])
        .await?;

    let namespaces: Api<Namespace> = Api::all(scene.client.clone());
    namespaces
        .delete(&ending.namespace, &DeleteParams::default())
        .await?;
    ending.delete_policy("networkpolicy/deny")?;
    let end = Instant::now() + Duration::from_secs(15);
    let last = end + Duration::from_secs(30);
    let mut looks = 0;
    while Instant::now() < end || looks <= 5 && Instant::now() < last {
        let pod = ending.pods().get_opt("slow").await?;
        let pod = pod.context("the pod ended before its time")?;
        let url = format!("{}:{HTTP}", slow.ip);
        let knock = outside.exec(&watcher, &["/agnhost", "connect", &url, "--timeout=500ms"]);
        if knock.is_ok() {
            bail!("the pod is open while its namespace ends");
        }
        looks += usize::from(pod.metadata.deletion_timestamp.is_some());
    }
    assert!(looks > 5, "looked {looks} times only");
    outside.end().await
}
