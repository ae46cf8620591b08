//! The GlooNetwork of the cluster: what it says, what it made, and when it is settled.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, bail};
use gloonet_api::{
    GlooNetwork, GlooNetworkStatus,
    status::{ComponentHealth, ComponentStatus},
};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
    core::GroupVersionKind,
};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    Scene,
    wait::{Progress, until},
};

/// Label with the component on everything the operator makes.
pub const COMPONENT: &str = gloonet_api::COMPONENT_LABEL;
/// Namespaces of the operator and of what it installs.
pub const NAMESPACES: [&str; 3] = ["gloonet-system", "gloo-mesh", "kube-system"];
/// Time in which everything is healthy again after something was taken away.
pub const HEALED: Duration = Duration::from_mins(3);

/// Time in which the status says what is missing.
const NOTICED: Duration = Duration::from_secs(30);
/// Time in which pods that are not wanted any more have ended; Prometheus may take a minute.
const ENDED: Duration = Duration::from_mins(2);

/// One object of the operator's inventory.
#[derive(Clone, Debug, Deserialize)]
pub struct Made {
    /// API group, empty for the core.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Namespace, if it has one.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Component it belongs to.
    pub component: String,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let namespace = self
            .namespace
            .as_ref()
            .map(|n| format!("{n}/"))
            .unwrap_or_default();
        write!(f, "{} {namespace}{}", self.kind, self.name)
    }
}

impl Made {
    /// The API of the object.
    pub fn api(&self, client: &Client) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(
            &self.group,
            &self.version,
            &self.kind,
        ));
        match &self.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        }
    }
}

fn api(scene: &Scene) -> Api<GlooNetwork> {
    Api::all(scene.client.clone())
}

/// The GlooNetwork.
pub async fn get(scene: &Scene) -> Result<GlooNetwork> {
    api(scene)
        .get("default")
        .await
        .context("GlooNetwork default; ./dev up installs it")
}

/// What the operator says.
pub async fn status(scene: &Scene) -> Result<GlooNetworkStatus> {
    get(scene)
        .await?
        .status
        .context("the operator has said nothing yet")
}

/// Status and message of a condition.
pub fn condition(status: &GlooNetworkStatus, kind: &str) -> (String, String) {
    let found = status.conditions.iter().find(|c| c.type_ == kind);
    found
        .map(|c| (c.status.clone(), c.message.clone()))
        .unwrap_or_default()
}

/// The row of a component.
pub fn row<'a>(status: &'a GlooNetworkStatus, component: &str) -> Option<&'a ComponentStatus> {
    status.components.iter().find(|c| c.name == component)
}

/// Waits until every component is healthy, nothing is in progress and nothing is wrong.
pub async fn settled(scene: &Scene, limit: Duration) -> Result<GlooNetworkStatus> {
    until(
        "every component is healthy and nothing is in progress",
        limit,
        async || {
            let platform = get(scene).await?;
            let generation = platform.metadata.generation;
            let status = platform.status.context("no status")?;
            let seen = status.observed_generation == generation;
            let wanted = [
                ("Available", "True"),
                ("Progressing", "False"),
                ("Degraded", "False"),
            ];
            let said = wanted
                .iter()
                .all(|(kind, value)| condition(&status, kind).0 == *value);
            let healthy = status
                .components
                .iter()
                .all(|c| c.health == ComponentHealth::Healthy);
            let how = format!("{}; {}", status.message, unhealthy(&status));
            Ok(Progress::of(
                (seen && said && healthy && !status.components.is_empty()).then_some(status),
                how,
            ))
        },
    )
    .await
}

/// Waits until the row of a component admits that something is missing.
pub async fn noticed(scene: &Scene, component: &str) -> Result<()> {
    let what = format!("the status admits that {component} is not whole");
    until(&what, NOTICED, async || {
        let status = status(scene).await?;
        let row = row(&status, component);
        let whole = row
            .is_none_or(|row| row.health == ComponentHealth::Healthy && row.ready == row.desired);
        Ok(Progress::when(!whole, format!("{row:?}")))
    })
    .await
}

/// Waits until no pod of these components is left, be it one that is still ending.
pub async fn ended(scene: &Scene, which: &str, ours: impl Fn(&str) -> bool) -> Result<()> {
    until(&format!("no pod {which} is left"), ENDED, async || {
        let left = pods(scene).await?.into_iter();
        let left = left.filter(|(_, mark)| ours(&mark.component));
        let left: Vec<String> = left.map(|(name, _)| name).collect();
        Ok(Progress::when(left.is_empty(), left.join(", ")))
    })
    .await
}

/// Every row that is not healthy, in words.
pub fn unhealthy(status: &GlooNetworkStatus) -> String {
    let rows = status
        .components
        .iter()
        .filter(|c| c.health != ComponentHealth::Healthy);
    rows.map(|c| format!("{} {:?}: {}", c.name, c.health, c.message))
        .collect::<Vec<_>>()
        .join("; ")
}

/// Changes the specification.
pub async fn change(scene: &Scene, spec: Value) -> kube::Result<GlooNetwork> {
    let body = serde_json::json!({"spec": spec});
    api(scene)
        .patch("default", &PatchParams::default(), &Patch::Merge(body))
        .await
}

/// Sets an annotation of the GlooNetwork, or takes it away.
pub async fn annotate(scene: &Scene, key: &str, value: Option<&str>) -> Result<()> {
    let body = serde_json::json!({"metadata": {"annotations": {key: value}}});
    let annotated = api(scene)
        .patch("default", &PatchParams::default(), &Patch::Merge(body))
        .await
        .map(drop);
    annotated.with_context(|| format!("annotate the GlooNetwork with {key}"))
}

/// Everything the operator made, in the order of its inventory.
pub async fn inventory(scene: &Scene) -> Result<Vec<Made>> {
    let maps: Api<ConfigMap> =
        Api::namespaced(scene.client.clone(), gloonet_api::OPERATOR_NAMESPACE);
    let map = maps
        .get("gloonet-inventory")
        .await
        .context("the inventory")?;
    let text = map
        .data
        .and_then(|mut data| data.remove("objects"))
        .unwrap_or_default();
    let made = text
        .lines()
        .map(|line| serde_json::from_str(line).context("a line of the inventory"));
    let made: Vec<Made> = made.collect::<Result<_>>()?;
    if made.is_empty() {
        bail!("the inventory is empty");
    }
    Ok(made)
}

/// A pod at one moment: enough to say whether it was replaced or restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodMark {
    /// Component of ours, empty for others.
    pub component: String,
    /// Unique over the pod's life.
    pub uid: String,
    /// Restarts of all containers together.
    pub restarts: i32,
    /// It is about to end.
    pub ending: bool,
}

/// Every pod of the operator's namespaces, by `namespace/name`.
pub async fn pods(scene: &Scene) -> Result<BTreeMap<String, PodMark>> {
    let mut marks = BTreeMap::new();
    for namespace in NAMESPACES {
        let pods: Api<Pod> = Api::namespaced(scene.client.clone(), namespace);
        for pod in pods.list(&ListParams::default()).await? {
            let containers = pod
                .status
                .iter()
                .flat_map(|s| s.container_statuses.iter().flatten());
            let restarts = containers.map(|c| c.restart_count).sum();
            let component = pod.labels().get(COMPONENT).cloned().unwrap_or_default();
            let mark = PodMark {
                component,
                uid: pod.uid().unwrap_or_default(),
                restarts,
                ending: pod.metadata.deletion_timestamp.is_some(),
            };
            marks.insert(format!("{namespace}/{}", pod.name_any()), mark);
        }
    }
    Ok(marks)
}

/// Pods that were replaced or restarted although their component is none of `touched`.
pub fn disturbed(
    before: &BTreeMap<String, PodMark>,
    after: &BTreeMap<String, PodMark>,
    touched: &[&str],
) -> Vec<String> {
    let unrelated = before
        .iter()
        .filter(|(_, mark)| !mark.ending && !touched.contains(&mark.component.as_str()));
    unrelated
        .filter(|(name, mark)| after.get(*name) != Some(mark))
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(component: &str, uid: &str, restarts: i32) -> PodMark {
        PodMark {
            component: component.into(),
            uid: uid.into(),
            restarts,
            ending: false,
        }
    }

    #[test]
    fn replaced_and_restarted_pods_of_others_are_disturbed() {
        let before = BTreeMap::from([
            ("a/kept".to_owned(), mark("redis", "1", 0)),
            ("a/restarted".to_owned(), mark("redis", "2", 0)),
            ("a/replaced".to_owned(), mark("grafana", "3", 0)),
            ("a/touched".to_owned(), mark("gateway", "4", 0)),
        ]);
        let after = BTreeMap::from([
            ("a/kept".to_owned(), mark("redis", "1", 0)),
            ("a/restarted".to_owned(), mark("redis", "2", 1)),
        ]);
        assert_eq!(
            disturbed(&before, &after, &["gateway"]),
            ["a/replaced", "a/restarted"]
        );
    }
}
