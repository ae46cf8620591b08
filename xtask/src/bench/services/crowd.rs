//! Services that only have to be there.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::bench::objects::{all, create, sweep};

/// Of their own, so that nothing else is taken away with them.
const NAMESPACE: &str = "gloonet-bench-crowd";
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
        let made = (0..count).map(|number| self.make(number, endpoint));
        all("Services", made).await?;
        tokio::time::sleep(REST).await;
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
        let everything = ListParams::default();
        let (services, slices) = (
            Api::<Service>::namespaced(self.client.clone(), NAMESPACE),
            Api::<EndpointSlice>::namespaced(self.client.clone(), NAMESPACE),
        );
        sweep("Services", &services, &everything).await?;
        sweep("slices", &slices, &everything).await?;
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let ours = everything.fields(&format!("metadata.name={NAMESPACE}"));
        sweep("namespaces", &namespaces, &ours).await
    }
}
