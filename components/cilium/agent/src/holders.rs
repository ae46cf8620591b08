//! Which pod holds which address.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::agent::Agent;

/// Namespace and name of pods by address.
pub(crate) type Pods = BTreeMap<Ipv4Addr, (String, String)>;

/// This node's; an endpoint of which no pod is known has empty names.
pub(crate) fn own_pods(agent: &Agent) -> Pods {
    let endpoints = agent.endpoints.list();
    endpoints
        .into_iter()
        .map(|endpoint| {
            let pod = endpoint.pod.map(|pod| (pod.namespace, pod.name));
            (endpoint.ip, pod.unwrap_or_default())
        })
        .collect()
}

/// Pods as the agents of their nodes describe them.
pub(crate) fn other_pods(agent: &Agent) -> Pods {
    let mut pods = Pods::new();
    for endpoint in agent.watched.endpoints.list() {
        let metadata = &endpoint.metadata;
        let name = (
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        );
        let networking = endpoint.status.networking.iter();
        for pair in networking.flat_map(|networking| &networking.addressing) {
            if let Some(ip) = pair.ipv4.as_deref().and_then(|text| text.parse().ok()) {
                pods.insert(ip, name.clone());
            }
        }
    }
    pods
}
