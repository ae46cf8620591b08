//! The ports where load balancers ask which nodes have an endpoint of their Service (`Service.spec.healthCheckNodePort`).

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;

use super::{Own, Slices, endpoints, key};

/// What is answered at one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    pub namespace: String,
    pub name: String,
    /// Ready endpoints on this node.
    pub local_endpoints: usize,
}

/// Of every Service with such a port: those of type LoadBalancer whose outside traffic stays on the node. Of two with one port the
/// API server lets only one be.
pub fn health_checks<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    slices: &Slices<'a>,
    own: Own<'_>,
) -> BTreeMap<u16, HealthCheck> {
    let mut checks = BTreeMap::new();
    for service in services {
        let Some(port) = port(service) else {
            continue;
        };
        let (namespace, name) = key(service);
        let slices = slices.behind((namespace, name));
        checks.insert(
            port,
            HealthCheck {
                namespace: namespace.to_owned(),
                name: name.to_owned(),
                local_endpoints: endpoints::ready_on(slices, own.name),
            },
        );
    }
    checks
}

pub(super) fn port(service: &Service) -> Option<u16> {
    let spec = service.spec.as_ref()?;
    let asked = spec.type_.as_deref() == Some("LoadBalancer")
        && spec.external_traffic_policy.as_deref() == Some("Local");
    let port = spec.health_check_node_port.filter(|_| asked)?;
    u16::try_from(port).ok().filter(|port| *port != 0)
}
