//! The pods of each component are killed in turn: they come back, and the status tells the truth meanwhile.

use std::collections::BTreeMap;

use anyhow::Result;
use gloonet_api::OPERATOR_NAMESPACE;
use gloonet_e2e::{
    Scene, objects,
    platform::{self, PodMark},
    wait::{Progress, until},
};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};

/// Kills every pod of a component at once, without grace.
async fn kill(scene: &Scene, component: &str) -> Result<()> {
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
        }
    }
    Ok(())
}

/// Until another operator works, what the status says is of the time before.
async fn another_works(scene: &Scene, before: &BTreeMap<String, PodMark>) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(scene.client.clone(), OPERATOR_NAMESPACE);
    until("another operator works", platform::HEALED, async || {
        let spec = leases.get("gloonet-operator").await?.spec;
        let holder = spec.and_then(|spec| spec.holder_identity);
        let holder = holder.unwrap_or_default();
        let old = before.contains_key(&format!("{OPERATOR_NAMESPACE}/{holder}"));
        Ok(Progress::when(!holder.is_empty() && !old, holder))
    })
    .await
}

#[tokio::test]
async fn the_pods_of_each_component_come_back_and_the_status_tells_the_truth_meanwhile()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let mut components: Vec<String> = platform::pods(&scene)
        .await?
        .into_values()
        .map(|mark| mark.component)
        .filter(|component| !component.is_empty())
        .collect();
    components.sort();
    components.dedup();
    assert!(components.len() > 5, "{components:?}");
    let mut failures = Vec::new();
    for component in &components {
        let before = platform::pods(&scene).await?;
        kill(&scene, component).await?;
        if component == "operator" {
            another_works(&scene, &before).await?;
        }
        // The operator has no row: it cannot say that it is not there.
        if component != "operator"
            && let Err(error) = platform::noticed(&scene, component).await
        {
            failures.push(format!("{error:#}"));
        }
        if let Err(error) = platform::settled(&scene, platform::HEALED).await {
            failures.push(format!("{component} was killed: {error:#}"));
        }
        let disturbed = platform::disturbed(&before, &platform::pods(&scene).await?, &[component]);
        if !disturbed.is_empty() {
            failures.push(format!(
                "killing {component} disturbed {}",
                disturbed.join(", ")
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}
