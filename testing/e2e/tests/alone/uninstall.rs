//! The resource is deleted and applied again: nothing of ours stays but what must, and then everything is back.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene,
    platform::{self, Made},
    wait::{Progress, until},
};
use serde_json::json;

/// May hold what users put there, so it is left.
const STAYS: [&str; 4] = [
    "Namespace",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
];
const GONE: Duration = Duration::from_mins(5);

async fn still_there(scene: &Scene, made: &[Made]) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for object in made {
        if object
            .api(&scene.client)
            .get_opt(&object.name)
            .await?
            .is_some()
        {
            left.push(object.to_string());
        }
    }
    Ok(left)
}

#[tokio::test]
async fn uninstalling_leaves_only_what_must_stay_and_applying_again_brings_everything_back()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let made = platform::inventory(&scene).await?;
    let (stays, goes): (Vec<Made>, Vec<Made>) = made
        .into_iter()
        .partition(|m| STAYS.contains(&m.kind.as_str()));

    scene.kubectl(&["delete", "glonet", "default", "--wait=false"])?;
    let outcome = until("the GlooNetwork is gone", GONE, async || {
        let left = scene.kubectl(&["get", "glonet", "--ignore-not-found"])?;
        Ok(Progress::when(left.is_empty(), left))
    })
    .await;
    let left = still_there(&scene, &goes).await?;
    let kept = still_there(&scene, &stays).await?;
    let on_nodes = leftovers_on_nodes(&scene).await;

    let refused = refused_pools(&scene).await;

    // Whatever was found, the next one to use the cluster shall find it working.
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../../lab/gloonetwork.yaml");
    scene
        .kubectl(&["apply", "--server-side", "-f", manifest])
        .context("apply again")?;
    let back = platform::settled(&scene, Duration::from_mins(8)).await;
    outcome?;
    assert_eq!(left, Vec::<String>::new(), "left behind");
    assert_eq!(
        kept.len(),
        stays.len(),
        "taken away although users' things may be in it"
    );
    assert_eq!(on_nodes?, Vec::<String>::new(), "still running");
    refused?;
    back.map(drop)
}

/// A first installation with a pool that the Services or the nodes are in: refused in words, and nothing is installed.
async fn refused_pools(scene: &Scene) -> Result<()> {
    let node = scene.node_ip(&scene.workers().await?[0]).await?;
    let nodes = format!(
        "{}.0.0/16",
        node.split('.').take(2).collect::<Vec<_>>().join(".")
    );
    for wrong in ["10.96.0.0/12", &nodes] {
        let spec =
            json!({"clusterName": "lab", "cilium": {"ipam": {"clusterPoolIPv4CIDRs": [wrong]}}});
        let body = json!({"apiVersion": "gloonetwork.io/v1alpha1", "kind": "GlooNetwork",
            "metadata": {"name": "default"}, "spec": spec});
        scene.apply(&body.to_string())?;
        let said = until("the pool is refused", Duration::from_secs(30), async || {
            let message = platform::condition(&platform::status(scene).await?, "Degraded").1;
            let parts = ["clusterPoolIPv4CIDRs", wrong, "overlaps", "choose a range"];
            Ok(Progress::when(
                parts.iter().all(|part| message.contains(part)),
                message,
            ))
        })
        .await;
        scene.kubectl(&["delete", "glonet", "default", "--timeout=120s"])?;
        said?;
    }
    Ok(())
}

/// Processes of ours that still run on a node. The plugin and its configuration stay: pods that were there before are
/// still attached through them, and it takes them to detach those pods.
async fn leftovers_on_nodes(scene: &Scene) -> Result<Vec<String>> {
    const OURS: [&str; 6] = [
        "cilium-agent",
        "cilium-operator",
        "redis-server",
        "prometheus",
        "otelcol-contrib",
        "grafana",
    ];
    let mut left = Vec::new();
    for node in scene.nodes().await? {
        let running = scene.in_node(
            &node,
            &["sh", "-c", "cat /proc/[0-9]*/comm 2>/dev/null || true"],
        )?;
        let ours = running
            .lines()
            .filter(|name| OURS.iter().any(|o| name.starts_with(o)));
        left.extend(ours.map(|name| format!("{name} on {node}")));
    }
    Ok(left)
}
