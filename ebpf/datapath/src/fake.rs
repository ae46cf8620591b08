use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::Ipv4Net;

use crate::{Counter, Datapath, Endpoint, Error, Frontend, IpEntry, MapPressure, Node, Service};

/// A datapath in memory, for tests of its callers: keeps the promises of [`Datapath`] and moves no packet.
#[derive(Debug)]
pub struct Fake {
    state: Mutex<State>,
    pod_mtu: u32,
}

#[derive(Debug, Default)]
struct State {
    endpoints: BTreeMap<u16, Endpoint>,
    ips: BTreeMap<Ipv4Net, IpEntry>,
    nodes: BTreeMap<Ipv4Addr, Node>,
    services: BTreeMap<Frontend, Service>,
    counters: Vec<Counter>,
}

impl Fake {
    /// An empty datapath whose pods have an MTU of 1450.
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            pod_mtu: 1450,
        }
    }

    /// What [`Datapath::counters`] shall answer from now on.
    pub fn set_counters(&self, counters: Vec<Counter>) {
        self.state().counters = counters;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self::new()
    }
}

impl Datapath for Fake {
    fn upsert_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error> {
        self.state().endpoints.insert(endpoint.id, endpoint.clone());
        Ok(())
    }

    fn remove_endpoint(&self, id: u16) -> Result<(), Error> {
        self.state().endpoints.remove(&id);
        Ok(())
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        Ok(self.state().endpoints.values().cloned().collect())
    }

    fn upsert_ip(&self, prefix: Ipv4Net, entry: IpEntry) -> Result<(), Error> {
        self.state().ips.insert(prefix.trunc(), entry);
        Ok(())
    }

    fn remove_ip(&self, prefix: Ipv4Net) -> Result<(), Error> {
        self.state().ips.remove(&prefix.trunc());
        Ok(())
    }

    fn ips(&self) -> Result<Vec<(Ipv4Net, IpEntry)>, Error> {
        Ok(self
            .state()
            .ips
            .iter()
            .map(|(prefix, entry)| (*prefix, *entry))
            .collect())
    }

    fn upsert_node(&self, node: &Node) -> Result<(), Error> {
        let mut state = self.state();
        for other in state.nodes.values().filter(|other| other.ip != node.ip) {
            if let Some(range) = node
                .pod_cidrs
                .iter()
                .find(|range| other.pod_cidrs.contains(range))
            {
                return Err(Error::RangeTaken {
                    range: *range,
                    owner: other.ip,
                    claimant: node.ip,
                });
            }
        }
        state.nodes.insert(node.ip, node.clone());
        Ok(())
    }

    fn remove_node(&self, ip: Ipv4Addr) -> Result<(), Error> {
        self.state().nodes.remove(&ip);
        Ok(())
    }

    fn nodes(&self) -> Result<Vec<Node>, Error> {
        Ok(self.state().nodes.values().cloned().collect())
    }

    fn upsert_service(&self, service: &Service) -> Result<(), Error> {
        self.state()
            .services
            .insert(service.frontend, service.clone());
        Ok(())
    }

    fn remove_service(&self, frontend: Frontend) -> Result<(), Error> {
        self.state().services.remove(&frontend);
        Ok(())
    }

    fn services(&self) -> Result<Vec<Service>, Error> {
        Ok(self.state().services.values().cloned().collect())
    }

    fn counters(&self) -> Result<Vec<Counter>, Error> {
        Ok(self.state().counters.clone())
    }

    fn map_pressure(&self) -> Result<Vec<MapPressure>, Error> {
        let state = self.state();
        let used = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(vec![
            MapPressure {
                name: "cilium_lxc",
                used: used(state.endpoints.len()),
                max: 1024,
            },
            MapPressure {
                name: "cilium_ipcache",
                used: used(state.ips.len()),
                max: 65_536,
            },
            MapPressure {
                name: "cilium_lb4_services",
                used: used(state.services.len()),
                max: 65_536,
            },
        ])
    }

    fn pod_mtu(&self) -> u32 {
        self.pod_mtu
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_stays_with_its_first_owner() {
        let datapath = Fake::new();
        let node = |ip: &str| Node {
            ip: ip.parse().unwrap(),
            pod_cidrs: vec!["10.244.1.0/24".parse().unwrap()],
        };
        datapath.upsert_node(&node("172.30.0.11")).unwrap();
        let error = datapath.upsert_node(&node("172.30.0.12")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "node 172.30.0.12 claims 10.244.1.0/24, which belongs to node 172.30.0.11; the claim is ignored"
        );
        assert_eq!(datapath.nodes().unwrap(), [node("172.30.0.11")]);
    }
}
