//! What the insights engine says, by the way people ask it: a port forwarded to its pod.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::Scene;

const PORT: u16 = gloo_api::names::INSIGHTS_API_PORT;

/// The engine's last run.
#[derive(Debug)]
pub struct Overview {
    /// State by id, for example `HLT0101/lab/Node/lab-worker-1`.
    pub states: BTreeMap<String, String>,
    /// The document itself.
    pub document: Value,
}

/// Asks the engine.
pub async fn ask(scene: &Scene) -> Result<Overview> {
    let api: Api<Pod> = Api::namespaced(scene.client.clone(), gloo_api::names::NAMESPACE);
    let selector = format!("app={}", gloo_api::names::INSIGHTS);
    let pods = api.list(&ListParams::default().labels(&selector)).await?;
    let pod = pods
        .iter()
        .find(|pod| pod.metadata.deletion_timestamp.is_none());
    let name = pod.context("no pod of the insights engine")?.name_any();
    let mut forwarded = api.portforward(&name, &[PORT]).await?;
    let mut stream = forwarded.take_stream(PORT).context("no stream")?;
    stream
        .write_all(b"GET /v1/insights HTTP/1.0\r\nhost: localhost\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let text = String::from_utf8(answer).context("the answer is no text")?;
    let (head, body) = text
        .split_once("\r\n\r\n")
        .context("the answer has no body")?;
    if !head.starts_with("HTTP/1.0 200") {
        bail!("the engine answers {head}: {body}");
    }
    let document: Value = serde_json::from_str(body).context("the answer is no JSON")?;
    let insights = document["insights"].as_array().context("no insights")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let states = insights
        .iter()
        .map(|one| (text(&one["id"]), text(&one["state"]["is"])))
        .collect();
    Ok(Overview { states, document })
}
