//! Each object the operator made is deleted in turn: it comes back, the status tells the truth meanwhile, and nobody unrelated notices.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene,
    platform::{self, Made},
    wait::{Progress, until},
};
use kube::{ResourceExt, api::DeleteParams};

const BACK: Duration = Duration::from_secs(45);

/// Kinds whose deletion takes other people's things along; they have tests of their own, or are never deleted.
const TAKES_MORE_ALONG: [&str; 4] = [
    "Namespace",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
];

/// The token by which an agent without a certificate comes; while it has a good one, none is made.
const ONLY_WHEN_NEEDED: &str = gloo_api::names::TOKEN;

/// Kinds whose deletion takes pods away.
const WITH_PODS: [&str; 3] = ["DaemonSet", "Deployment", "StatefulSet"];

/// Deletes one object; where it cannot be deleted, does not come back, or is not missed by the status, says so.
async fn delete(scene: &Scene, made: &Made) -> Result<()> {
    let api = made.api(&scene.client);
    let old = match api.get_opt(&made.name).await? {
        None if made.name == ONLY_WHEN_NEEDED => return Ok(()),
        old => old.with_context(|| format!("{made} is in the inventory"))?,
    };
    api.delete(&made.name, &DeleteParams::default())
        .await
        .with_context(|| format!("delete {made}"))?;
    if made.name == ONLY_WHEN_NEEDED {
        return Ok(());
    }
    until(&format!("{made} comes back"), BACK, async || {
        let now = api.get_opt(&made.name).await?;
        let new =
            now.filter(|now| now.uid() != old.uid() && now.metadata.deletion_timestamp.is_none());
        Ok(Progress::of(new.map(drop), "it is not there"))
    })
    .await?;
    if WITH_PODS.contains(&made.kind.as_str()) {
        platform::noticed(scene, &made.component).await?;
    }
    Ok(())
}

#[tokio::test]
async fn each_managed_object_comes_back_the_status_misses_its_pods_and_no_unrelated_pod_restarts()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let all = platform::inventory(&scene).await?;
    let mut components: Vec<&str> = all.iter().map(|m| m.component.as_str()).collect();
    components.sort_unstable();
    components.dedup();
    let mut failures = Vec::new();
    for component in components {
        let before = platform::pods(&scene).await?;
        for made in all
            .iter()
            .filter(|m| m.component == component && !TAKES_MORE_ALONG.contains(&m.kind.as_str()))
        {
            if let Err(error) = delete(&scene, made).await {
                failures.push(format!("{error:#}"));
            }
        }
        // Trust is what the others' pods carry: a new certificate may restart them, a new password must, one after the other. A
        // Secret of the agents that goes while they take the new authority lets them begin again, with half a minute per node.
        let trust = component == "trust";
        let limit = platform::HEALED * if trust { 4 } else { 1 };
        if let Err(error) = platform::settled(&scene, limit).await {
            failures.push(format!("after the objects of {component}: {error:#}"));
        }
        if !trust {
            let disturbed =
                platform::disturbed(&before, &platform::pods(&scene).await?, &[component]);
            if !disturbed.is_empty() {
                failures.push(format!(
                    "deleting the objects of {component} disturbed {}",
                    disturbed.join(", ")
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

#[tokio::test]
async fn a_custom_resource_definition_removed_under_the_operator_comes_back_and_nodes_keep_their_addresses()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let nodes = scene.nodes().await?;
    // A node that was removed lately may still have its CiliumNode.
    let cidrs = || -> Result<Vec<String>> {
        let path =
            "jsonpath={range .items[*]}{.metadata.name} {.spec.ipam.podCIDRs[0]}{\"\\n\"}{end}";
        let said = scene.kubectl(&["get", "cn", "-o", path])?;
        let exists = |line: &&str| {
            nodes
                .iter()
                .any(|n| line.split(' ').next() == Some(n.as_str()))
        };
        Ok(said.lines().filter(exists).map(str::to_owned).collect())
    };
    let (pods, before) = (platform::pods(&scene).await?, cidrs()?);
    scene.kubectl(&[
        "delete",
        "crd",
        "ciliumnodes.cilium.io",
        "ciliumidentities.cilium.io",
    ])?;
    until(
        "every node has its podCIDR again",
        Duration::from_mins(2),
        async || {
            let now = cidrs()?;
            Ok(Progress::when(now == before, format!("{now:?}")))
        },
    )
    .await?;
    platform::settled(&scene, platform::HEALED).await?;
    assert_eq!(
        platform::disturbed(&pods, &platform::pods(&scene).await?, &[]),
        Vec::<String>::new()
    );
    Ok(())
}
