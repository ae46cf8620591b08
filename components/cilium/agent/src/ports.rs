//! Names of ports, as pods give them. Pure.

use cilium_api::CiliumEndpoint;
use cilium_api::endpoint::NamedPort;
use cilium_policy::NamedPorts;
use k8s_openapi::api::core::v1::Pod;

/// Ports with a name of all containers, sidecars among the init containers included.
pub fn of_pod(pod: &Pod) -> Vec<NamedPort> {
    let spec = pod.spec.as_ref();
    let containers = spec.map(|spec| spec.containers.iter());
    let init = spec.and_then(|spec| spec.init_containers.as_ref());
    let sidecars = init
        .into_iter()
        .flatten()
        .filter(|container| container.restart_policy.as_deref() == Some("Always"));
    let mut ports: Vec<NamedPort> = containers
        .into_iter()
        .flatten()
        .chain(sidecars)
        .flat_map(|container| container.ports.iter().flatten())
        .filter(|port| port.name.is_some())
        .map(|port| NamedPort {
            name: port.name.clone(),
            port: Some(port.container_port),
            protocol: Some(port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())),
        })
        .collect();
    ports.sort_by(|a, b| (&a.name, &a.protocol, a.port).cmp(&(&b.name, &b.protocol, b.port)));
    ports.dedup();
    ports
}

/// The form policies are resolved with. What is no port or no protocol with ports is left out.
pub fn by_name(ports: &[NamedPort]) -> NamedPorts {
    let mut named = NamedPorts::new();
    for port in ports {
        let number = port.port.and_then(|number| u16::try_from(number).ok());
        if let (Some(name), Some(number), Some(protocol)) =
            (&port.name, number, protocol(port.protocol.as_deref()))
        {
            named
                .entry((name.clone(), protocol))
                .or_default()
                .insert(number);
        }
    }
    named
}

/// Those a CiliumEndpoint tells of its pod.
pub fn of_endpoint(endpoint: &CiliumEndpoint) -> NamedPorts {
    by_name(&endpoint.status.named_ports)
}

/// The number of the IP protocol that a port is of; without a name it is TCP's.
pub(crate) fn protocol(name: Option<&str>) -> Option<u8> {
    match name.unwrap_or("TCP") {
        "TCP" => Some(6),
        "UDP" => Some(17),
        "SCTP" => Some(132),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn named_ports_of_containers_and_sidecars_count_and_those_of_init_containers_do_not() {
        let makes = |name: &str, port: u16| json!({"name": name, "ports": [{"name": name, "containerPort": port}, {"containerPort": 1}]});
        let mut sidecar = makes("side", 9);
        sidecar["restartPolicy"] = json!("Always");
        let pod: Pod = serde_json::from_value(json!({"spec": {
            "containers": [makes("web", 80)],
            "initContainers": [sidecar, makes("once", 7)],
        }}))
        .unwrap();
        let names: Vec<_> = of_pod(&pod)
            .into_iter()
            .filter_map(|port| port.name)
            .collect();
        assert_eq!(names, ["side", "web"]);
        let numbers = by_name(&of_pod(&pod));
        assert_eq!(numbers[&("web".to_owned(), 6)], [80].into());
    }

    #[test]
    fn a_number_that_is_no_port_names_nothing() {
        let wrong = NamedPort {
            name: Some("web".to_owned()),
            port: Some(70_000),
            protocol: None,
        };
        assert!(by_name(&[wrong]).is_empty());
    }
}
