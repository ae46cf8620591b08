//! Test 52 of the security reference: nothing of ours runs any more, and what was in force stays in force. For a minute here;
//! what ages in the maps only after that is not seen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene, operator,
    platform::{self, Made},
    stage::{Stage, both},
};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

const AWAY: Duration = Duration::from_mins(1);
/// Everything is made anew, one component after the other.
const RESTORED: Duration = Duration::from_mins(5);

/// What leaves a workload without pods; nothing for other kinds.
fn without_pods(kind: &str) -> Option<Value> {
    match kind {
        "Deployment" | "StatefulSet" => Some(json!({"spec": {"replicas": 0}})),
        // Owned by the operator, which so sets it right.
        "DaemonSet" => {
            let nowhere = json!({"kubernetes.io/os": "nowhere"});
            Some(json!({"spec": {"template": {"spec": {"nodeSelector": nowhere}}}}))
        }
        _ => None,
    }
}

/// The operator first: it would put the others right.
async fn take_away(scene: &Scene, made: &[Made]) -> Result<()> {
    operator::scale(scene, 0).await?;
    platform::ended(scene, "of the operator", |component| {
        component == "operator"
    })
    .await?;
    for object in made {
        if let Some(change) = without_pods(&object.kind) {
            let api = object.api(&scene.client);
            let change = Patch::Merge(change);
            api.patch(&object.name, &PatchParams::default(), &change)
                .await
                .with_context(|| format!("leave {object} without pods"))?;
        }
    }
    platform::ended(scene, "of ours", |component| !component.is_empty()).await
}

/// While nothing runs. Looked at all the time, not only at the end.
async fn stay_away(scene: &Scene, stage: &Stage<'_>) -> Result<()> {
    let end = Instant::now() + AWAY;
    while Instant::now() < end {
        for node in &stage.nodes {
            stage.ask_by_socket(node)?;
        }
        let service = stage.service.to_string();
        stage
            .ground
            .ask(&stage.client, "http", &service, 80, "hostname")?;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
    platform::ended(scene, "of ours that came back by itself", |component| {
        !component.is_empty()
    })
    .await
}

#[tokio::test]
async fn with_nothing_of_ours_running_connections_policies_and_services_stay_as_they_are()
-> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let made = platform::inventory(&scene).await?;
    let replicas = operator::replicas(&scene).await?;
    Stage::during(&scene, "zero", async |stage| {
        let lines = stage.lines().await?;
        let mut outcome = take_away(&scene, &made).await;
        if outcome.is_ok() {
            outcome = stay_away(&scene, stage).await;
        }
        // They run on while everything comes back, which must not break them either.
        let back = operator::scale(&scene, replicas).await;
        let settled = platform::settled(&scene, RESTORED).await.map(drop);
        both(both(outcome, lines.end()), both(back, settled))?;
        stage.is_whole("late").await
    })
    .await
}
