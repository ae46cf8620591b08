mod events;
mod policies;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datapath_abi::policy::MAX_BLOCK;
use ipnet::Ipv4Net;

use self::events::Events;
use self::policies::Policies;
use crate::{
    Collected, Counter, Datapath, Endpoint, Error, Event, EventSource, Flow, Frontend, GaveWay,
    IpEntry, MapOperations, MapPressure, Node, PolicyEntry, PolicyKey, Service, Tenant,
};

/// A datapath in memory, for tests of its callers: keeps the promises of [`Datapath`] and moves no packet.
#[derive(Debug)]
pub struct Fake {
    state: Mutex<State>,
    events: Arc<Events>,
    pod_mtu: u32,
}

/// What a test has it refuse.
#[derive(Debug, Default)]
struct Refuses {
    services: bool,
    endpoints: bool,
    ips: bool,
}

#[derive(Debug, Default)]
struct State {
    endpoints: BTreeMap<u16, Endpoint>,
    ips: BTreeMap<Ipv4Net, IpEntry>,
    nodes: BTreeMap<Ipv4Addr, Node>,
    services: BTreeMap<Frontend, (u32, Service)>,
    last_service: u32,
    counters: Vec<Counter>,
    policies: Policies,
    epoch: u32,
    blocks: BTreeMap<Ipv4Net, u32>,
    flows: Vec<Flow>,
    gave_way: Vec<GaveWay>,
    lost_events: u64,
    waits: bool,
    tenants: Vec<Tenant>,
    refuses: Refuses,
}

impl Fake {
    /// An empty datapath whose pods have an MTU of 1450.
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            events: Arc::default(),
            pod_mtu: 1450,
        }
    }

    /// As beside a running datapath of another layout, until [`Datapath::activate`].
    pub fn wait_for_activation(&self) {
        self.state().waits = true;
    }

    /// What [`Datapath::tenants`] shall answer beside the endpoints known.
    pub fn set_tenants(&self, tenants: Vec<Tenant>) {
        self.state().tenants = tenants;
    }

    /// As with a full map: no Service is taken while this is set.
    pub fn refuse_services(&self, refuses: bool) {
        self.state().refuses.services = refuses;
    }

    /// The same for endpoints.
    pub fn refuse_endpoints(&self, refuses: bool) {
        self.state().refuses.endpoints = refuses;
    }

    /// As with a full map: no prefix is taken that has no entry yet, while this is set.
    pub fn refuse_ips(&self, refuses: bool) {
        self.state().refuses.ips = refuses;
    }

    /// What [`Datapath::counters`] shall answer from now on.
    pub fn set_counters(&self, counters: Vec<Counter>) {
        self.state().counters = counters;
    }

    /// Adds a connection.
    pub fn push_flow(&self, flow: Flow) {
        self.state().flows.push(flow);
    }

    /// Has the next [`Datapath::collect_flows`] find a crowded table in which these give way.
    pub fn crowd(&self, gave_way: Vec<GaveWay>) {
        self.state().gave_way = gave_way;
    }

    /// Tells the reader of events, if there is one, as the programs would.
    pub fn push_event(&self, event: Event) {
        self.events.push(event);
    }

    /// What [`Datapath::lost_events`] shall answer from now on.
    pub fn set_lost_events(&self, lost: u64) {
        self.state().lost_events = lost;
    }

    /// How often [`Datapath::new_epoch`] was called.
    pub fn epoch(&self) -> u32 {
        self.state().epoch
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
    fn is_active(&self) -> bool {
        !self.state().waits
    }

    fn activate(&self) -> Result<(), Error> {
        self.state().waits = false;
        Ok(())
    }

    fn upsert_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error> {
        let mut state = self.state();
        if state.refuses.endpoints {
            return Err(Error::MapFull { map: "cilium_lxc" });
        }
        state.endpoints.insert(endpoint.id, endpoint.clone());
        Ok(())
    }

    fn remove_endpoint(&self, id: u16) -> Result<(), Error> {
        self.state().endpoints.remove(&id);
        Ok(())
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        Ok(self.state().endpoints.values().cloned().collect())
    }

    fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        let state = self.state();
        let own = state.endpoints.values().map(|endpoint| Tenant {
            ip: endpoint.ip,
            id: endpoint.id,
            ifindex: endpoint.ifindex,
            mac: endpoint.mac,
        });
        Ok(own.chain(state.tenants.iter().copied()).collect())
    }

    fn upsert_ip(&self, prefix: Ipv4Net, entry: IpEntry) -> Result<(), Error> {
        let mut state = self.state();
        let prefix = prefix.trunc();
        if state.refuses.ips && !state.ips.contains_key(&prefix) {
            return Err(Error::MapFull {
                map: "cilium_ipcache",
            });
        }
        state.ips.insert(prefix, entry);
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
        let mut state = self.state();
        if state.refuses.services {
            return Err(Error::MapFull {
                map: "cilium_lb4_services",
            });
        }
        let known = state.services.get(&service.frontend);
        if known.is_some_and(|(_, known)| known == service) {
            return Ok(());
        }
        state.last_service += 1;
        let numbered = (state.last_service, service.clone());
        state.services.insert(service.frontend, numbered);
        Ok(())
    }

    fn remove_service(&self, frontend: Frontend) -> Result<(), Error> {
        self.state().services.remove(&frontend);
        Ok(())
    }

    fn numbered_services(&self) -> Result<Vec<(u32, Service)>, Error> {
        Ok(self.state().services.values().cloned().collect())
    }

    fn set_policy(&self, id: u32, entries: &BTreeMap<PolicyKey, PolicyEntry>) -> Result<(), Error> {
        self.state().policies.set(id, entries.clone())
    }

    fn update_policy(
        &self,
        id: u32,
        upserts: &[(PolicyKey, PolicyEntry)],
        removes: &[PolicyKey],
    ) -> Result<(), Error> {
        self.state().policies.update(id, upserts, removes)
    }

    fn remove_policy(&self, id: u32) -> Result<(), Error> {
        self.state().policies.0.remove(&id);
        Ok(())
    }

    fn policies(&self) -> Result<Vec<u32>, Error> {
        Ok(self.state().policies.0.keys().copied().collect())
    }

    fn policy(&self, id: u32) -> Result<Option<BTreeMap<PolicyKey, PolicyEntry>>, Error> {
        Ok(self.state().policies.0.get(&id).cloned())
    }

    fn new_epoch(&self) -> Result<(), Error> {
        self.state().epoch += 1;
        Ok(())
    }

    fn upsert_block(&self, prefix: Ipv4Net, number: u32) -> Result<(), Error> {
        if number == 0 || number > MAX_BLOCK {
            return Err(Error::BlockNumber { prefix, number });
        }
        self.state().blocks.insert(prefix.trunc(), number);
        Ok(())
    }

    fn remove_block(&self, prefix: Ipv4Net) -> Result<(), Error> {
        self.state().blocks.remove(&prefix.trunc());
        Ok(())
    }

    fn blocks(&self) -> Result<Vec<(Ipv4Net, u32)>, Error> {
        let state = self.state();
        Ok(state
            .blocks
            .iter()
            .map(|(prefix, number)| (*prefix, *number))
            .collect())
    }

    fn flows(&self) -> Result<Vec<Flow>, Error> {
        Ok(self.state().flows.clone())
    }

    fn is_crowded(&self) -> Result<bool, Error> {
        Ok(!self.state().gave_way.is_empty())
    }

    fn collect_flows(&self) -> Result<Collected, Error> {
        let state = &mut *self.state();
        let mut collected = Collected {
            gave_way: std::mem::take(&mut state.gave_way),
            ..Collected::default()
        };
        state.flows.retain(|flow| {
            let alive = !flow.expires_in.is_zero();
            let numbers = if alive {
                &mut collected.alive
            } else {
                &mut collected.deleted
            };
            numbers.count(flow.protocol);
            alive
        });
        Ok(collected)
    }

    fn flush_flows(&self) -> Result<u64, Error> {
        let mut count = 0;
        self.state().flows.drain(..).for_each(|_| count += 1);
        Ok(count)
    }

    fn events(&self) -> Result<Box<dyn EventSource>, Error> {
        self.events.reader()
    }

    fn lost_events(&self) -> Result<u64, Error> {
        Ok(self.state().lost_events)
    }

    fn counters(&self) -> Result<Vec<Counter>, Error> {
        Ok(self.state().counters.clone())
    }

    fn map_operations(&self) -> Vec<MapOperations> {
        let number = self.state().services.len() as u64;
        vec![MapOperations {
            map: "cilium_lb4_services",
            operation: "update",
            well: true,
            number,
        }]
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

    fn device_mtu(&self) -> u32 {
        self.pod_mtu + 50
    }
}

#[cfg(test)]
mod tests;
