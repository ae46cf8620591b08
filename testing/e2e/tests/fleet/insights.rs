//! What is wrong in a workload cluster is told in the management cluster, under its name.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_e2e::{
    fleet::{CONNECTED, Fleet, WORKLOADS},
    insights,
    pods::Playground,
    wait::{Progress, until},
};

/// Collectors wait for the token that their agent brings, and Prometheus for its second scrape.
const FIRST: Duration = Duration::from_mins(4);
/// From the fault to its insight, across clusters.
const TOLD: Duration = Duration::from_mins(1);

fn cannot_be_judged(overview: &insights::Overview, cluster: &str) -> Vec<String> {
    let unknown = overview.document["unknown"].as_array();
    let own = unknown
        .into_iter()
        .flatten()
        .filter(|one| one["cluster"] == cluster);
    own.map(|one| format!("{} {}", one["code"], one["why"]))
        .collect()
}

#[tokio::test]
async fn a_fault_in_a_workload_cluster_is_told_under_its_name_and_nowhere_else() -> Result<()> {
    let fleet = Fleet::open().await?;
    fleet.connected(CONNECTED).await?;
    for cluster in WORKLOADS {
        let what = format!("every rule about {cluster} is judged");
        until(&what, FIRST, async || {
            let overview = insights::ask(&fleet.management).await?;
            let unknown = cannot_be_judged(&overview, cluster);
            Ok(Progress::when(unknown.is_empty(), format!("{unknown:?}")))
        })
        .await?;
    }
    let (name, scene) = fleet
        .workloads
        .first_key_value()
        .context("no workload cluster")?;
    let playground = Playground::start(scene, "insights").await?;
    let namespace = playground.namespace.clone();
    scene.apply(&format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: nobody, namespace: {namespace}}}\nspec: {{podSelector: {{matchLabels: {{app: gone}}}}, policyTypes: [Ingress]}}\n"
    ))?;
    let target = format!("NetworkPolicy/{namespace}/nobody");
    let told = until(&format!("{target} is told"), TOLD, async || {
        let overview = insights::ask(&fleet.management).await?;
        let found: Vec<String> = overview
            .states
            .into_iter()
            .filter(|(id, state)| id.ends_with(&target) && state == "active")
            .map(|(id, _)| id)
            .collect();
        Ok(Progress::of(
            (!found.is_empty()).then_some(found),
            "nothing yet",
        ))
    })
    .await;
    playground.end().await?;
    assert_eq!(told?, [format!("BP0103/{name}/{target}")]);
    Ok(())
}
