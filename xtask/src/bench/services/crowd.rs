//! Services that only have to be there.

use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, DeleteParams};
use serde_json::json;

use crate::bench::policy::crowd::{AT_ONCE, absent_is_gone, create};

/// Of their own, so that one deletion takes all of them.
const NAMESPACE: &str = "gloonet-bench-crowd";
const GONE: Duration = Duration::from_mins(15);
const LOOK: Duration = Duration::from_secs(2);
/// Agents follow at once; what they do for so many Services shall not be measured with the connections.
const REST: Duration = Duration::from_secs(20);

/// The Services, once [`Crowd::gather`] has made them.
pub(in crate::bench) struct Crowd<'a> {
    client: &'a kube::Client,
}

impl<'a> Crowd<'a> {
    pub(in crate::bench) fn new(client: &'a kube::Client) -> Self {
        Self { client }
    }

    /// Makes as many as are not there yet, each with one endpoint, and lets the agents come to rest.
    pub(in crate::bench) async fn gather(&self, count: u32, endpoint: Ipv4Addr) -> Result<()> {
        eprintln!("… {count} Services");
        let namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}));
        let namespaces = Api::<Namespace>::all(self.client.clone());
        create(&namespaces, &namespace.context("make a Namespace")?).await?;
        let made = stream::iter(0..count).map(|number| self.make(number, endpoint));
        made.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        sleep(REST);
        Ok(())
    }

    async fn make(&self, number: u32, endpoint: Ipv4Addr) -> Result<()> {
        let name = format!("crowd-{number}");
        let port = json!({"name": "http", "protocol": "TCP", "port": 80});
        let service = serde_json::from_value(json!({
            "metadata": {"name": name}, "spec": {"ports": [port]},
        }));
        let slice = serde_json::from_value(json!({
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [endpoint], "conditions": {"ready": true}}],
            "ports": [port],
        }));
        let services = Api::<Service>::namespaced(self.client.clone(), NAMESPACE);
        create(&services, &service.context("make a Service")?).await?;
        let slices = Api::<EndpointSlice>::namespaced(self.client.clone(), NAMESPACE);
        create(&slices, &slice.context("make a slice")?).await
    }

    /// Removes what [`Crowd::gather`] makes, also that of a run that was broken off, and waits for the end of it.
    pub(in crate::bench) async fn disperse(&self) -> Result<()> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        absent_is_gone(namespaces.delete(NAMESPACE, &DeleteParams::default()).await)?;
        let gone = async {
            while namespaces.get_opt(NAMESPACE).await?.is_some() {
                tokio::time::sleep(LOOK).await;
            }
            Ok::<(), kube::Error>(())
        };
        tokio::time::timeout(GONE, gone)
            .await
            .with_context(|| format!("namespace {NAMESPACE} is not gone after {GONE:?}"))?
            .context("look for the namespace")
    }
}
