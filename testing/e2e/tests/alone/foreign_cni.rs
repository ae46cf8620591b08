//! A node that joins with another plugin's CNI configuration in place.

use std::time::Duration;

use anyhow::Result;
use gloonet_e2e::{
    Scene, platform,
    pods::{HTTP, Playground},
    wait::{Progress, until},
};
use gloonet_lab::quiet;

const FOREIGN: &str = r#"{"cniVersion":"1.0.0","name":"foreign","plugins":[{"type":"bridge","bridge":"foreign0","ipam":{"type":"host-local","subnet":"10.66.0.0/24"}}]}"#;

#[tokio::test]
async fn a_node_that_joins_with_a_foreign_cni_configuration_gets_ours() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let node = scene.lab.add_node(&quiet)?;
    let outcome = joins(&scene, &node).await;
    scene.kubectl(&["delete", "node", &node, "--ignore-not-found"])?;
    scene.lab.remove_node(&node, true)?;
    outcome?;
    platform::settled(&scene, platform::HEALED).await.map(drop)
}

async fn joins(scene: &Scene, node: &str) -> Result<()> {
    let write =
        format!("mkdir -p /etc/cni/net.d && echo '{FOREIGN}' > /etc/cni/net.d/00-foreign.conflist");
    scene.in_node(node, &["sh", "-c", &write])?;
    // Once more from the start, now with the foreign configuration in place from the first moment.
    scene.kubectl(&[
        "delete",
        "pod",
        "--namespace=kube-system",
        "--selector=k8s-app=cilium",
        &format!("--field-selector=spec.nodeName={node}"),
        "--grace-period=0",
        "--force",
    ])?;
    until(
        "only our configuration counts on the node",
        Duration::from_mins(2),
        async || {
            let files = scene.in_node(
                node,
                &[
                    "sh",
                    "-c",
                    "ls /etc/cni/net.d/*.conflist /etc/cni/net.d/*.conf 2>/dev/null || true",
                ],
            )?;
            let first = files.split_whitespace().collect::<Vec<_>>();
            Ok(Progress::when(
                first == ["/etc/cni/net.d/05-cilium.conflist"],
                files,
            ))
        },
    )
    .await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(scene, "foreign").await?;
    let here = ground.talker("here", node).await?;
    let there = ground.talker("there", &workers[0]).await?;
    assert!(
        !here.ip.to_string().starts_with("10.66."),
        "the pod has an address of the foreign plugin: {}",
        here.ip
    );
    assert_eq!(
        ground
            .ask_patiently(&there, "http", &here.ip.to_string(), HTTP, "hostname")
            .await?,
        "here"
    );
    ground.end().await
}
