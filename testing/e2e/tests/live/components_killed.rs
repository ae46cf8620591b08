//! The pods of each component are killed in turn: they come back, and the status tells the truth meanwhile.

use std::time::Duration;

use anyhow::Result;
use gloonet_api::status::ComponentHealth;
use gloonet_e2e::{
    Scene, objects, platform,
    wait::{Progress, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};

const NOTICED: Duration = Duration::from_secs(30);

/// Kills every pod of a component at once, without grace.
async fn kill(scene: &Scene, component: &str) -> Result<usize> {
    let mut killed = 0;
    for namespace in platform::NAMESPACES {
        let pods: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
        let of_component =
            ListParams::default().labels(&format!("{}={component}", platform::COMPONENT));
        for pod in pods.list(&of_component).await? {
            let name = pod.metadata.name.unwrap_or_default();
            objects::ignore_missing(
                pods.delete(&name, &DeleteParams::default().grace_period(0))
                    .await,
            )?;
            killed += 1;
        }
    }
    Ok(killed)
}

/// Whether the row of a component admits that something is missing.
async fn noticed(scene: &Scene, component: &str) -> Result<()> {
    until(
        &format!("the status admits that {component} is not whole"),
        NOTICED,
        async || {
            let status = platform::status(scene).await?;
            let row = platform::row(&status, component).cloned();
            let whole = row
                .as_ref()
                .is_none_or(|r| r.health == ComponentHealth::Healthy && r.ready == r.desired);
            Ok(Progress::when(!whole, format!("{row:?}")))
        },
    )
    .await
}

#[tokio::test]
async fn the_pods_of_each_component_come_back_and_the_status_tells_the_truth_meanwhile()
-> Result<()> {
    let scene = Scene::open().await?;
    let status = platform::settled(&scene, platform::HEALED).await?;
    let mut failures = Vec::new();
    for row in status.components.iter().filter(|row| row.desired > 0) {
        let before = platform::pods(&scene).await?;
        assert_ne!(
            kill(&scene, &row.name).await?,
            0,
            "{} has {} pods and none bears its label",
            row.name,
            row.desired
        );
        if let Err(error) = noticed(&scene, &row.name).await {
            failures.push(format!("{error:#}"));
        }
        if let Err(error) = platform::settled(&scene, platform::HEALED).await {
            failures.push(format!("{} was killed: {error:#}", row.name));
        }
        let disturbed = platform::disturbed(&before, &platform::pods(&scene).await?, &[&row.name]);
        if !disturbed.is_empty() {
            failures.push(format!(
                "killing {} disturbed {}",
                row.name,
                disturbed.join(", ")
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}
