//! Test 52 of the security reference: nothing of ours runs any more, and what was in force stays in force. For a minute here;
//! what ages in the maps only after that is not seen.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use gloonet_api::OPERATOR_NAMESPACE;
use gloonet_e2e::{
    Scene,
    platform::{self, Made},
    stage::{Stage, both},
    wait::{Progress, until},
};
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

const OPERATOR: &str = "gloonet-operator";
const AWAY: Duration = Duration::from_mins(1);
/// Prometheus may take a minute to end.
const ENDED: Duration = Duration::from_mins(2);
/// Everything is made anew, one component after the other.
const RESTORED: Duration = Duration::from_mins(5);

/// Waits until no pod of these components is left, be it one that is still ending.
async fn ended(scene: &Scene, which: &str, ours: impl Fn(&str) -> bool) -> Result<()> {
    until(&format!("no pod {which} is left"), ENDED, async || {
        let left = platform::pods(scene).await?.into_iter();
        let left = left.filter(|(_, mark)| ours(&mark.component));
        let left: Vec<String> = left.map(|(name, _)| name).collect();
        Ok(Progress::when(left.is_empty(), left.join(", ")))
    })
    .await
}

async fn scale_operator(scene: &Scene, replicas: i32) -> Result<()> {
    let api: Api<Deployment> = Api::namespaced(scene.client.clone(), OPERATOR_NAMESPACE);
    let spec = Patch::Merge(json!({"spec": {"replicas": replicas}}));
    let scaled = api.patch(OPERATOR, &PatchParams::default(), &spec).await;
    scaled
        .map(drop)
        .with_context(|| format!("scale {OPERATOR} to {replicas}"))
}

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
    scale_operator(scene, 0).await?;
    ended(scene, "of the operator", |component| {
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
    ended(scene, "of ours", |component| !component.is_empty()).await
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
    ended(scene, "of ours that came back by itself", |component| {
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
    let operator: Api<Deployment> = Api::namespaced(scene.client.clone(), OPERATOR_NAMESPACE);
    let replicas = operator.get(OPERATOR).await?.spec.context("a spec")?;
    let replicas = replicas.replicas.context("a number of replicas")?;

    Stage::during(&scene, "zero", async |stage| {
        let lines = stage.lines().await?;
        let mut outcome = take_away(&scene, &made).await;
        if outcome.is_ok() {
            outcome = stay_away(&scene, stage).await;
        }
        // They run on while everything comes back, which must not break them either.
        let back = scale_operator(&scene, replicas).await;
        let settled = platform::settled(&scene, RESTORED).await.map(drop);
        both(both(outcome, lines.end()), both(back, settled))?;
        stage.is_whole("late").await
    })
    .await
}
