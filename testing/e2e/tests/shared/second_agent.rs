//! A second agent on a node, as somebody starts one by mistake.

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{Scene, sentence::assert_says, tokens};

#[tokio::test]
async fn a_second_agent_on_a_node_is_told_of_the_first_and_ends() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let first = || tokens::pod_on(&scene, names::NAMESPACE, names::AGENT_SELECTOR, &workers[0]);
    let before = first().await?;
    let name = before.metadata.name.as_deref().context("a name")?;
    let exec = ["exec", "--namespace", names::NAMESPACE, name, "--container"];
    let second = [names::AGENT_CONTAINER, "--", "/usr/bin/cilium-agent"];
    let said = scene.kubectl_refused(&[&exec[..], &second[..]].concat(), "")?;
    assert_says(&said, &["another agent runs on this node", "end the one"]);
    let after = first().await?;
    let restarts = |pod: &k8s_openapi::api::core::v1::Pod| -> Option<(bool, i32)> {
        let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
        statuses.first().map(|one| (one.ready, one.restart_count))
    };
    assert_eq!(restarts(&after), restarts(&before));
    Ok(())
}
