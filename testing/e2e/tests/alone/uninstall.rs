//! The resource is deleted and applied again: nothing of ours stays but what must, and then everything is back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use gloonet_e2e::{
    Scene, events,
    platform::{self, Made},
    wait::{Progress, until},
};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

/// May hold what users put there, so it is left.
const STAYS: [&str; 4] = [
    "Namespace",
    "CustomResourceDefinition",
    "PersistentVolumeClaim",
    "PersistentVolume",
];
const GONE: Duration = Duration::from_mins(5);
/// Kubernetes deletes what is owned after its owner.
const COLLECTED: Duration = Duration::from_mins(1);
/// What everything of ours is found by: what the operator made and the pods of that, and what Cilium's tools take for Cilium's.
const LABELS: [&str; 2] = [
    "app.kubernetes.io/managed-by=gloonet-operator",
    "app.kubernetes.io/part-of=cilium",
];
/// Kinds whose objects have no labels, or are told of elsewhere.
const NOT_ASKED: [&str; 3] = ["componentstatuses", "events", "events.events.k8s.io"];

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
    let began = Timestamp::now();
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
    let labelled = only_what_stays_has_our_labels(&scene, &stays).await;
    let told = what_stays_is_told(&scene, &stays, began);

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
    labelled?;
    told?;
    refused?;
    back.map(drop)
}

/// Of any kind, whether the operator ever knew of it or not; its own objects are not the platform's.
async fn only_what_stays_has_our_labels(scene: &Scene, stays: &[Made]) -> Result<()> {
    let kinds = scene.kubectl(&["api-resources", "--verbs=list", "--output=name"])?;
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !NOT_ASKED.contains(kind))
        .collect();
    let kinds = kinds.join(",");
    until("only what stays has our labels", COLLECTED, async || {
        let mut left = Vec::new();
        for label in LABELS {
            let list = ["get", &kinds, "--all-namespaces", "--output=json"];
            let found = scene.kubectl(&[&list[..], &["--selector", label]].concat())?;
            let found: Value = serde_json::from_str(&found).context("a list")?;
            let items = found["items"].as_array().context("items of a list")?;
            left.extend(items.iter().filter_map(|item| surplus(item, stays)));
        }
        Ok(Progress::when(left.is_empty(), left.join(", ")))
    })
    .await
}

/// The name of an object that is neither to stay, nor made of a definition that stays, nor the operator's own.
fn surplus(object: &Value, stays: &[Made]) -> Option<String> {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let (kind, name) = (text("/kind")?, text("/metadata/name")?);
    let namespace = text("/metadata/namespace");
    let group = text("/apiVersion")?
        .rsplit_once('/')
        .map(|(group, _)| group);
    let is_kept = stays.iter().any(|one| {
        let same = one.kind == kind && one.name == name && one.namespace.as_deref() == namespace;
        let defined = one.kind == "CustomResourceDefinition"
            && one.name.split_once('.').map(|(_, group)| group) == group;
        same || defined
    });
    let labels = &object["metadata"]["labels"];
    let is_operators = labels[platform::COMPONENT] == "operator";
    (!is_kept && !is_operators).then(|| {
        format!(
            "{kind} {}{name}",
            namespace.map(|n| format!("{n}/")).unwrap_or_default()
        )
    })
}

/// In the last Event of the GlooNetwork: every object by name, definitions by their number, and what is on the nodes.
fn what_stays_is_told(scene: &Scene, stays: &[Made], began: Timestamp) -> Result<()> {
    let (definitions, others): (Vec<&Made>, Vec<&Made>) = stays
        .iter()
        .partition(|one| one.kind == "CustomResourceDefinition");
    let mut named: Vec<String> = others.iter().map(ToString::to_string).collect();
    named.push(format!(
        "{} CustomResourceDefinitions with the objects made of them",
        definitions.len()
    ));
    named.push(
        "on every node the pod network as its last agent left it, and /var/run/cilium, cilium-cni and 05-cilium.conflist: \
         docs/runbooks/uninstall.md says how to take them away"
            .to_owned(),
    );
    let expected = format!("the platform is removed; these stay: {}", named.join(", "));
    let said = events::said(scene, "Uninstalled", began)?;
    ensure!(said.contains(&expected), "{said:#?} without {expected:?}");
    Ok(())
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

/// Processes of ours that still run on a node. The datapath, the plugin and its configuration stay, and are told of: pods that were
/// there before have their network by them, and it takes the plugin to detach those pods.
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
