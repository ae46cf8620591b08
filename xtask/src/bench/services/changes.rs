//! From the write of an EndpointSlice to the first new flows that meet it, at the client's node.
//!
//! New ones: kube-proxy leaves flows that exist as they are when the last endpoint goes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, Patch, PatchParams};

use super::MEASURED;
use super::ways::Ground;
use crate::bench::path::pods::NAMESPACE;
use crate::bench::peer::watch::micros;
use crate::bench::watcher::{Watcher, millis};

/// Milliseconds until the endpoint appears (`true`) and vanishes.
pub(super) type Times = BTreeMap<bool, Vec<f64>>;

/// Waits until the Service answers.
pub(super) fn await_answer(ground: &Ground) -> Result<()> {
    let mut watcher =
        Watcher::of_new_flows(&ground.lab, &ground.from, MEASURED.port, &[ground.service])?;
    let answered = watcher.wait(true);
    answered.with_context(|| format!("ask the Service of cluster {}", ground.lab.name()))?;
    Ok(())
}

/// Waits until what was written before holds: slices arrive in the order of their writes.
pub(super) async fn catch_up(ground: &Ground) -> Result<()> {
    measure(ground, 2).await.map(drop)
}

/// Takes the endpoint away and gives it back, in turn.
pub(super) async fn measure(ground: &Ground, changes: usize) -> Result<Times> {
    let slices: Api<EndpointSlice> = Api::namespaced(ground.client.clone(), NAMESPACE);
    let mut watcher =
        Watcher::of_new_flows(&ground.lab, &ground.from, MEASURED.port, &[ground.service])?;
    watcher.wait(true).context("before the first change")?;
    let mut times = Times::new();
    for number in 0..changes {
        let appears = number % 2 == 1;
        let began = micros();
        let slice = MEASURED.slice(appears.then_some(ground.endpoint));
        let by = PatchParams::apply("gloonet-bench").force();
        slices
            .patch(MEASURED.name, &by, &Patch::Apply(slice))
            .await
            .context("apply the slice")?;
        let at = watcher.wait(appears)?;
        let took = millis(at.saturating_sub(began));
        times.entry(appears).or_default().push(took);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(times)
}
