//! Which Service an address, a port and a protocol belong to, for flows that people read.
//!
//! A name is given only for an address of the Service itself. A client whose connection was translated at the socket sends packets
//! with a pod's address: nothing in them says which of the pod's Services was asked, so nothing is claimed.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use cilium_hubble::names::ServiceName;
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};

use super::{is_left_to_others, oldest_first};
use crate::ports;

/// Services by where they are reached.
#[derive(Debug, Default)]
pub struct ServiceNames {
    /// By address, port and IP protocol.
    places: HashMap<(IpAddr, u16, u8), ServiceName>,
    /// By port and IP protocol: they are the same at every node.
    node_ports: HashMap<(u16, u8), ServiceName>,
    nodes: HashSet<IpAddr>,
}

impl ServiceNames {
    /// Of two Services with one address and port the one that is balanced there: the older one, and one that is left to another
    /// program last.
    pub fn of<'a>(
        services: impl IntoIterator<Item = &'a Service>,
        nodes: impl IntoIterator<Item = IpAddr>,
    ) -> Self {
        let mut names = Self {
            nodes: nodes.into_iter().collect(),
            ..Self::default()
        };
        let mut services = oldest_first(services);
        services.sort_by_key(|service| is_left_to_others(&service.metadata));
        for service in services {
            names.add(service);
        }
        names
    }

    /// Whose address, port and IP protocol this is.
    pub fn find(&self, address: IpAddr, port: u16, protocol: u8) -> Option<&ServiceName> {
        let at_node = || {
            let is_node = self.nodes.contains(&address);
            self.node_ports.get(&(port, protocol)).filter(|_| is_node)
        };
        self.places.get(&(address, port, protocol)).or_else(at_node)
    }

    fn add(&mut self, service: &Service) {
        let Some(spec) = &service.spec else {
            return;
        };
        let name = ServiceName {
            namespace: service.metadata.namespace.clone().unwrap_or_default(),
            name: service.metadata.name.clone().unwrap_or_default(),
        };
        let addresses = addresses(service, spec);
        for port in spec.ports.iter().flatten() {
            let Some((number, protocol)) = numbers(port) else {
                continue;
            };
            for address in &addresses {
                let place = (*address, number, protocol);
                self.places.entry(place).or_insert_with(|| name.clone());
            }
            let node_port = port.node_port.and_then(|port| u16::try_from(port).ok());
            if let Some(node_port) = node_port.filter(|port| *port != 0) {
                let at = self.node_ports.entry((node_port, protocol));
                at.or_insert_with(|| name.clone());
            }
        }
    }
}

/// Its own in the cluster, those somebody leads to it, and those of its load balancer, whoever translates there.
fn addresses(service: &Service, spec: &ServiceSpec) -> Vec<IpAddr> {
    let inside = spec.cluster_ips.iter().flatten().chain(&spec.cluster_ip);
    let outside = spec.external_ips.iter().flatten();
    let balancer = service
        .status
        .iter()
        .filter_map(|status| status.load_balancer.as_ref()?.ingress.as_ref())
        .flatten()
        .filter_map(|ingress| ingress.ip.as_ref());
    // A headless Service has the word None.
    inside
        .chain(outside)
        .chain(balancer)
        .filter_map(|text| text.parse().ok())
        .collect()
}

fn numbers(port: &ServicePort) -> Option<(u16, u8)> {
    let protocol = ports::protocol(port.protocol.as_deref())?;
    Some((u16::try_from(port.port).ok()?, protocol))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TCP: u8 = 6;
    const UDP: u8 = 17;
    const SCTP: u8 = 132;

    fn service(name: &str, created: &str, spec: Value) -> Service {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": name, "creationTimestamp": created},
            "spec": spec,
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "web.example"}]}},
        }))
        .unwrap()
    }

    fn found(services: &[Service], at: &str, port: u16, protocol: u8) -> Option<String> {
        let nodes = ["172.30.0.11", "172.30.0.12"].map(|ip| ip.parse().unwrap());
        let names = ServiceNames::of(services, nodes);
        let found = names.find(at.parse().unwrap(), port, protocol)?;
        Some(format!("{}/{}", found.namespace, found.name))
    }

    fn web() -> Service {
        let spec = json!({
            "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "externalIPs": ["198.51.100.7"],
            "ports": [{"port": 53, "protocol": "UDP"}, {"port": 3868, "protocol": "SCTP"}, {"port": 80, "nodePort": 30080}],
        });
        service("web", "2026-01-01T00:00:00Z", spec)
    }

    #[test]
    fn a_service_is_known_at_each_of_its_addresses_and_ports_and_nowhere_else() {
        let at = |address, port, protocol| found(&[web()], address, port, protocol).is_some();
        for address in ["10.96.0.9", "198.51.100.7", "192.0.2.1"] {
            assert!(at(address, 80, TCP), "{address}");
            assert!(at(address, 53, UDP), "{address}");
            assert!(at(address, 3868, SCTP), "{address}");
            assert!(!at(address, 3868, TCP), "{address}");
            assert!(!at(address, 80, UDP), "{address}");
            assert!(!at(address, 30080, TCP), "{address}");
        }
        // The address of a pod behind it.
        assert!(!at("10.244.1.7", 80, TCP));
    }

    #[test]
    fn a_node_port_is_the_services_at_every_node_and_at_nobody_elses_address() {
        let at = |address, port, protocol| found(&[web()], address, port, protocol);
        assert_eq!(at("172.30.0.11", 30080, TCP).unwrap(), "shop/web");
        assert_eq!(at("172.30.0.12", 30080, TCP).unwrap(), "shop/web");
        assert_eq!(at("172.30.0.11", 30080, UDP), None);
        assert_eq!(at("172.30.0.11", 80, TCP), None);
        assert_eq!(at("172.30.0.99", 30080, TCP), None);
    }

    #[test]
    fn of_two_services_with_one_address_the_one_that_is_balanced_there_is_named() {
        let spec =
            json!({"clusterIP": "None", "externalIPs": ["198.51.100.7"], "ports": [{"port": 80}]});
        let younger = service("younger", "2026-02-01T00:00:00Z", spec.clone());
        let mut foreign = service("foreign", "2025-01-01T00:00:00Z", spec);
        let label = "service.kubernetes.io/service-proxy-name".to_owned();
        foreign.metadata.labels = Some([(label, "other".to_owned())].into());
        let all = [foreign.clone(), younger, web()];
        assert_eq!(found(&all, "198.51.100.7", 80, TCP).unwrap(), "shop/web");
        assert_eq!(
            found(&[foreign], "198.51.100.7", 80, TCP).unwrap(),
            "shop/foreign"
        );
    }
}
