//! A Service without a selector, whose one endpoint is written by whoever measures: what only idles can be one.

use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::path::pods::NAMESPACE;
use crate::lab::Lab;

/// Where it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Service {
    /// Its name, and its slice's.
    pub name: &'static str,
    /// Of the Service and of the endpoint, over TCP and UDP.
    pub port: u16,
    /// From outside, too, at this port of each node.
    pub node_port: Option<u16>,
}

impl Service {
    /// Makes it, and says its address in the cluster.
    pub fn publish(&self, lab: &Lab, endpoint: Ipv4Addr) -> Result<Ipv4Addr> {
        lab.hand_over("apply", &[self.object(), self.slice(Some(endpoint))])?;
        let found = lab.get(&["service", self.name, "--namespace", NAMESPACE])?;
        let address = found["spec"]["clusterIP"].as_str();
        let address = address.context("a Service without an address")?.parse();
        address.context("parse a Service's address")
    }

    /// Its slice with this endpoint, or with none.
    pub fn slice(&self, endpoint: Option<Ipv4Addr>) -> Value {
        let endpoints: Vec<_> = (endpoint.into_iter())
            .map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}}))
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": self.name, "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": self.name},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
            "ports": self.ports(),
        })
    }

    fn object(&self) -> Value {
        let mut ports = self.ports();
        if let Some(node_port) = self.node_port {
            for port in &mut ports {
                port["nodePort"] = json!(node_port);
            }
        }
        let kind = self.node_port.map_or("ClusterIP", |_| "NodePort");
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name, "namespace": NAMESPACE},
            "spec": {"type": kind, "ports": ports},
        })
    }

    fn ports(&self) -> [Value; 2] {
        ["TCP", "UDP"].map(|protocol| {
            json!({"name": protocol.to_lowercase(), "protocol": protocol, "port": self.port})
        })
    }
}
