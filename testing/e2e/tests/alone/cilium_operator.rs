//! What the Cilium operator keeps right: podCIDRs, identities, nodes' taints, garbage.

use std::time::Duration;

use anyhow::{Context, Result};
use cilium_api::{CiliumIdentity, CiliumNode, names};
use gloonet_e2e::{
    Scene,
    pods::Playground,
    wait::{Progress, until},
};
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_forged_pod_cidr_is_put_right_and_the_owner_keeps_its_traffic() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "forged").await?;
    let owner = ground.talker("owner", &workers[0]).await?;
    let client = ground.talker("client", &workers[1]).await?;
    let nodes: Api<CiliumNode> = Api::all(scene.client.clone());
    let theirs = nodes.get(&workers[0]).await?.spec.ipam.pod_cidrs;
    let right = nodes.get(&workers[1]).await?.spec.ipam.pod_cidrs;
    let forged = json!({"spec": {"ipam": {"podCIDRs": theirs}}});
    nodes
        .patch(&workers[1], &PatchParams::default(), &Patch::Merge(forged))
        .await
        .context("forge")?;
    until("the right podCIDR is back", SOON, async || {
        let now = nodes.get(&workers[1]).await?.spec.ipam.pod_cidrs;
        Ok(Progress::when(now == right, format!("{now:?}")))
    })
    .await?;
    let answer = ground
        .ask_patiently(&client, "http", &owner.ip.to_string(), 8080, "hostname")
        .await?;
    assert_eq!(answer, "owner");
    let events = scene.kubectl(&[
        "get",
        "events",
        "--all-namespaces",
        "-o",
        "jsonpath={range .items[*]}{.reason}: {.message}{\"\\n\"}{end}",
    ])?;
    let told = events.lines().any(|l| {
        l.starts_with("PodCIDRRefused") && l.contains(&workers[1]) && l.contains(&right[0])
    });
    assert!(told, "no event names {} and {right:?}", workers[1]);
    ground.end().await
}

#[tokio::test]
async fn pods_with_equal_labels_share_one_identity() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "identity").await?;
    ground.talker("web-1", &workers[0]).await?;
    ground.talker("web-2", &workers[1]).await?;
    ground.talker("db-1", &workers[0]).await?;
    let identities: Api<CiliumIdentity> = Api::all(scene.client.clone());
    let found = until("two identities for three pods", SOON, async || {
        let of_ground = ListParams::default().labels(&format!(
            "{}={}",
            names::POD_NAMESPACE_LABEL,
            ground.namespace
        ));
        let found = identities.list(&of_ground).await?.items;
        Ok(Progress::of(
            (found.len() == 2).then_some(found.clone()),
            format!("{found:?}"),
        ))
    })
    .await?;
    let mut apps: Vec<&str> = found
        .iter()
        .map(|i| i.security_labels.as_map()["k8s:app"].as_str())
        .collect();
    apps.sort_unstable();
    assert_eq!(apps, ["db", "web"]);
    until("every endpoint has the identity of its labels", SOON, async || {
        let path = "jsonpath={range .items[*]}{.metadata.name} {.status.identity.id} {.status.state}{\"\\n\"}{end}";
        let said = scene.kubectl(&["get", "cep", "--namespace", &ground.namespace, "-o", path])?;
        let number = |app: &str| found.iter().find(|i| i.security_labels.as_map()["k8s:app"] == app).and_then(|i| i.metadata.name.clone());
        let expected = |pod: &str, app: &str| format!("{pod} {} ready", number(app).unwrap_or_default());
        let lines = [expected("web-1", "web"), expected("web-2", "web"), expected("db-1", "db")];
        Ok(Progress::when(lines.iter().all(|line| said.contains(line.as_str())), said))
    })
    .await?;
    ground.end().await
}

#[tokio::test]
async fn the_taint_of_a_missing_agent_goes_from_a_node_whose_agent_is_ready() -> Result<()> {
    let scene = Scene::open().await?;
    let node = scene.workers().await?.remove(0);
    scene.kubectl(&[
        "taint",
        "node",
        &node,
        &format!("{}=true:NoSchedule", names::AGENT_NOT_READY_TAINT),
    ])?;
    until("the taint is gone", SOON, async || {
        let taints =
            scene.kubectl(&["get", "node", &node, "-o", "jsonpath={.spec.taints[*].key}"])?;
        Ok(Progress::when(
            !taints.contains(names::AGENT_NOT_READY_TAINT),
            taints,
        ))
    })
    .await
}
