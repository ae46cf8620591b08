//! Two replicas, one of which leads: also when the leader is frozen and thaws again.

use std::{cell::RefCell, time::Duration};

use anyhow::{Context, Result, bail};
use cilium_api::names;
use gloonet_e2e::{
    Scene, objects, platform,
    wait::{Progress, until},
};
use k8s_openapi::{
    api::{
        coordination::v1::{Lease, LeaseSpec},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::Api;

const TAKEN_OVER: Duration = Duration::from_mins(1);

async fn lease(scene: &Scene) -> Result<LeaseSpec> {
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), names::NAMESPACE);
    let lease = leases.get(names::OPERATOR_LEASE).await?;
    lease.spec.context("a spec")
}

async fn holder(scene: &Scene) -> Result<String> {
    let spec = lease(scene).await?;
    spec.holder_identity
        .filter(|h| !h.is_empty())
        .context("nobody holds the Lease")
}

async fn another_holder(scene: &Scene, old: &str) -> Result<String> {
    until(
        &format!("another than {old} leads"),
        TAKEN_OVER,
        async || {
            let now = holder(scene).await?;
            Ok(Progress::of((now != old).then_some(now.clone()), now))
        },
    )
    .await
}

/// Seconds from the last time that `old` renewed the Lease, as far as it was seen, to the moment another took it: whenever the
/// kubelet told `old` to end.
async fn unrenewed_after(scene: &Scene, old: &str, renewed: MicroTime) -> Result<i64> {
    let renewed = RefCell::new(renewed);
    let taken = until(
        &format!("another than {old} leads"),
        TAKEN_OVER,
        async || {
            let now = lease(scene).await?;
            let holder = now.holder_identity.unwrap_or_default();
            if let Some(at) = now.renew_time.filter(|_| holder == old) {
                renewed.replace(at);
            }
            let other = !holder.is_empty() && holder != old;
            Ok(Progress::of(now.acquire_time.filter(|_| other), holder))
        },
    )
    .await?;
    Ok(taken.0.duration_since(renewed.into_inner().0).as_secs())
}

/// The leading pod and its node, which is a worker: the control plane's node holds the API server and cannot be frozen. No pod is
/// made meanwhile, so that the other replica takes over and not the successor of the one that is deleted, on the same node.
async fn leader_on_a_worker(scene: &Scene) -> Result<(String, String)> {
    let quota = ["quota", "e2e-no-new-pods", "--namespace", names::NAMESPACE];
    scene.kubectl(&[&["create"], &quota[..], &["--hard=pods=0"]].concat())?;
    let leader = moved_to_a_worker(scene).await;
    scene.kubectl(&[&["delete"], &quota[..]].concat())?;
    let leader = leader?;
    platform::settled(scene, platform::HEALED).await?;
    Ok(leader)
}

async fn moved_to_a_worker(scene: &Scene) -> Result<(String, String)> {
    let pods: Api<Pod> = Api::namespaced(scene.client.clone(), names::NAMESPACE);
    let workers = scene.workers().await?;
    for _ in 0..2 {
        let name = holder(scene).await?;
        let pod = pods.get(&name).await?;
        let node = pod
            .spec
            .as_ref()
            .and_then(|s| s.node_name.clone())
            .context("a node")?;
        if workers.contains(&node) {
            return Ok((name, node));
        }
        objects::delete_now(&pods, &pod).await?;
        another_holder(scene, &name).await?;
    }
    bail!("the leader would not move to a worker")
}

#[tokio::test]
async fn a_leader_that_ends_hands_over_at_once() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let before = lease(&scene).await?;
    let old = before.holder_identity.context("nobody leads")?;
    let renewed = before.renew_time.context("a time of renewal")?;
    scene.kubectl(&[
        "delete",
        "pod",
        "--namespace",
        names::NAMESPACE,
        &old,
        "--wait=false",
    ])?;
    // A Lease that had to run out is renewed by nobody for fifteen seconds and more.
    let unrenewed = unrenewed_after(&scene, &old, renewed).await?;
    assert!(unrenewed < 15, "handing over took {unrenewed} s");
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

#[tokio::test]
async fn a_frozen_leader_is_replaced_and_does_not_lead_when_it_thaws() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let (old, node) = leader_on_a_worker(&scene).await?;
    let frozen = scene.lab.node(&node)?;
    frozen.pause(true)?;
    let new = another_holder(&scene, &old).await;
    frozen.pause(false)?;
    let new = new?;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            holder(&scene).await?,
            new,
            "the one that thawed took the Lease back"
        );
    }
    platform::settled(&scene, platform::HEALED).await.map(drop)
}
