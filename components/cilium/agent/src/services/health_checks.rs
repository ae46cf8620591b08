//! The ports where load balancers ask which nodes have an endpoint of their Service (`Service.spec.healthCheckNodePort`).

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;

use super::{Own, endpoints, key};

/// What is answered at one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    pub namespace: String,
    pub name: String,
    /// Ready endpoints on this node.
    pub local_endpoints: usize,
}

/// That of a Service with such a port: one of type LoadBalancer whose outside traffic stays on the node. The API server lets no two
/// have one port.
pub(super) fn of<'a>(
    service: &Service,
    slices: impl IntoIterator<Item = &'a EndpointSlice>,
    own: Own<'_>,
) -> Option<(u16, HealthCheck)> {
    let port = port(service)?;
    let (namespace, name) = key(service);
    let check = HealthCheck {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        local_endpoints: endpoints::ready_on(slices, own.name),
    };
    Some((port, check))
}

pub(super) fn port(service: &Service) -> Option<u16> {
    let spec = service.spec.as_ref()?;
    let asked = spec.type_.as_deref() == Some("LoadBalancer")
        && spec.external_traffic_policy.as_deref() == Some("Local");
    let port = spec.health_check_node_port.filter(|_| asked)?;
    u16::try_from(port).ok().filter(|port| *port != 0)
}
