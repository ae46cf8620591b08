//! Services as tests write them.

use std::net::Ipv4Addr;

use datapath::{Backend, Datapath, Frontend, Protocol, Scope, Service, WhenEmpty};

use crate::cluster::Node;

/// For everybody, at an address that is not services' alone; refuses without backends.
pub(crate) fn service(
    (ip, port, protocol, scope): (Ipv4Addr, u16, Protocol, Scope),
    backends: &[(Ipv4Addr, u16)],
) -> Service {
    Service {
        frontend: Frontend {
            ip,
            port,
            protocol,
            scope,
        },
        backends: backends
            .iter()
            .map(|(ip, port)| Backend {
                ip: *ip,
                port: *port,
            })
            .collect(),
        affinity_seconds: None,
        when_empty: WhenEmpty::Refuse,
        exclusive: false,
        source_ranges: Vec::new(),
        maglev: None,
    }
}

/// The node has it when this returns.
pub(crate) fn set(node: &Node, service: Service) {
    node.datapath(move |datapath| {
        datapath.upsert_service(&service).unwrap();
        assert!(datapath.services().unwrap().contains(&service));
    });
}
