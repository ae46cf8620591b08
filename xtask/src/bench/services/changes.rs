//! From the write of an EndpointSlice to the first new flows that meet it, at the client's node.
//!
//! New ones: kube-proxy leaves flows that exist as they are when the last endpoint goes.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use super::ways::Ground;
use super::{NAME, PORT};
use crate::bench::path::pods::NAMESPACE;
use crate::bench::peer::watch::micros;
use crate::bench::watcher::{Watcher, millis};

/// Milliseconds until the endpoint appears (`true`) and vanishes.
pub(super) type Times = BTreeMap<bool, Vec<f64>>;

/// The Service without a selector, and its endpoint, which is written here: what only idles can be one.
pub(super) fn objects(endpoint: Ipv4Addr) -> Vec<Value> {
    vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": {"ports": ports()},
        }),
        slice(Some(endpoint)),
    ]
}

fn slice(endpoint: Option<Ipv4Addr>) -> Value {
    let endpoints: Vec<_> = (endpoint.into_iter())
        .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": NAME, "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": NAME},
        },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": ports(),
    })
}

fn ports() -> Value {
    let port = |protocol: &str| json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": PORT});
    json!([port("TCP"), port("UDP")])
}

/// Waits until the Service answers.
pub(super) fn await_answer(ground: &Ground) -> Result<()> {
    let mut watcher = Watcher::of_new_flows(&ground.lab, &ground.from, PORT, &[ground.service])?;
    let answered = watcher.wait(true);
    answered.with_context(|| format!("ask the Service of cluster {}", ground.lab.name()))?;
    Ok(())
}

/// Takes the endpoint away and gives it back, in turn.
pub(super) async fn measure(ground: &Ground, changes: usize) -> Result<Times> {
    let slices: Api<EndpointSlice> = Api::namespaced(ground.client.clone(), NAMESPACE);
    let mut watcher = Watcher::of_new_flows(&ground.lab, &ground.from, PORT, &[ground.service])?;
    watcher.wait(true).context("before the first change")?;
    let mut times = Times::new();
    for number in 0..changes {
        let appears = number % 2 == 1;
        let began = micros();
        let slice = slice(appears.then_some(ground.endpoint));
        let by = PatchParams::apply("gloonet-bench").force();
        slices
            .patch(NAME, &by, &Patch::Apply(slice))
            .await
            .context("apply the slice")?;
        let at = watcher.wait(appears)?;
        let took = millis(at.saturating_sub(began));
        times.entry(appears).or_default().push(took);
        sleep(Duration::from_millis(20));
    }
    Ok(times)
}
