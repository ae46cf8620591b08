//! `gloonet explain`: one component, from what it is to what is wrong with it.

mod page;

use std::path::Path;

use gloonet_api::{COMPONENT_LABEL, GlooNetworkSpec};
use gloonet_catalog::{ComponentId, Input, Refusal, component, validate};
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{Api, Client, ResourceExt, api::ListParams};

use crate::{
    fetch::{self, FetchError},
    offline,
};
use page::Page;

/// Warnings shown; older ones are history.
const WARNINGS: usize = 10;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Name as `gloonet status` prints it, for example redis.
    component: ComponentId,
}

/// The component could not be explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    #[error("the GlooNetwork cannot be read")]
    Fetch(#[source] FetchError),
    #[error("pods of component {component} cannot be listed")]
    Pods {
        component: ComponentId,
        source: kube::Error,
    },
    #[error("events of namespace {namespace} cannot be listed")]
    Events {
        namespace: String,
        source: kube::Error,
    },
    #[error("the specification in status.computed is refused: {}", refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused { refusals: Vec<Refusal> },
    #[error("component {component} cannot be rendered")]
    Render {
        component: ComponentId,
        source: gloonet_catalog::RenderError,
    },
    #[error("the release lock of this build cannot be used")]
    Lock(#[source] gloonet_catalog::LockError),
}

pub(crate) async fn run(
    kubeconfig: Option<&Path>,
    given: &Arguments,
) -> Result<String, ExplainError> {
    let id = given.component;
    let client = fetch::client(kubeconfig)
        .await
        .map_err(ExplainError::Fetch)?;
    let network = fetch::network(&client).await.map_err(ExplainError::Fetch)?;
    let status = network.status.unwrap_or_default();
    let computed = status
        .computed
        .clone()
        .and_then(|spec| serde_json::from_value(spec).ok());
    let input = accept(&computed.unwrap_or(network.spec))?;
    let pods = pods(&client, id).await?;
    let warnings = warnings(&client, &pods).await?;
    let page = Page {
        id,
        row: status.components.iter().find(|row| row.name == id.as_str()),
        needs: component(id).needs(),
        all: &status.components,
        objects: objects(id, &input)?,
        pods: &pods,
        probes: component(id).probes(&input),
        warnings,
        now: jiff::Timestamp::now(),
    };
    Ok(page.render())
}

/// The accepted specification; the address of the API server only matters before the first reconcile, when it is not in
/// the computed one, and no name depends on it.
fn accept(spec: &GlooNetworkSpec) -> Result<Input, ExplainError> {
    let nowhere = ("kubernetes.default.svc".to_owned(), 443);
    let facts = offline::facts(spec, nowhere).map_err(ExplainError::Lock)?;
    validate(spec, &facts).map_err(|refusals| ExplainError::Refused { refusals })
}

/// `Kind namespace/name` of every object the component consists of; `None` when it is not installed.
fn objects(id: ComponentId, input: &Input) -> Result<Option<Vec<String>>, ExplainError> {
    let component = component(id);
    if !component.enabled(input) {
        return Ok(None);
    }
    let failed = |source| ExplainError::Render {
        component: id,
        source,
    };
    let objects = component.objects(input).map_err(failed)?;
    Ok(Some(objects.iter().map(name).collect()))
}

fn name(object: &kube::core::DynamicObject) -> String {
    let kind = object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str());
    let namespace = object
        .namespace()
        .map_or_else(String::new, |namespace| namespace + "/");
    format!("{kind} {namespace}{}", object.name_any())
}

async fn pods(client: &Client, id: ComponentId) -> Result<Vec<Pod>, ExplainError> {
    let api: Api<Pod> = Api::all(client.clone());
    let selector = ListParams::default().labels(&format!("{COMPONENT_LABEL}={id}"));
    let list = api.list(&selector).await;
    list.map(|list| list.items)
        .map_err(|source| ExplainError::Pods {
            component: id,
            source,
        })
}

/// The newest warnings about these pods, oldest first.
async fn warnings(client: &Client, pods: &[Pod]) -> Result<Vec<String>, ExplainError> {
    let Some(namespace) = pods.first().and_then(ResourceExt::namespace) else {
        return Ok(Vec::new());
    };
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let selector = ListParams::default().fields("type=Warning,involvedObject.kind=Pod");
    let list = api
        .list(&selector)
        .await
        .map_err(|source| ExplainError::Events { namespace, source })?;
    let names: Vec<String> = pods.iter().map(ResourceExt::name_any).collect();
    let mut events: Vec<Event> = list.items;
    events.retain(|event| {
        event
            .involved_object
            .name
            .as_ref()
            .is_some_and(|name| names.contains(name))
    });
    events.sort_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0));
    let line = |event: &Event| {
        let object = event.involved_object.name.clone().unwrap_or_default();
        let reason = event.reason.clone().unwrap_or_default();
        format!(
            "{object}: {reason}: {}",
            event.message.clone().unwrap_or_default().trim()
        )
    };
    let skip = events.len().saturating_sub(WARNINGS);
    Ok(events.iter().skip(skip).map(line).collect())
}
