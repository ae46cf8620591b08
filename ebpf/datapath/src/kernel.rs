//! The datapath in the kernel.

mod addresses;
mod attach;
mod batch;
mod blocks;
mod bpf;
mod cookie;
mod counters;
mod devices;
mod endpoints;
mod epoch;
mod events;
mod flows;
mod ips;
mod leftovers;
mod maglev;
mod maps;
mod nodes;
mod now;
mod object;
mod operations;
mod pins;
mod policies;
mod pressure;
mod remnant;
mod services;
mod source_ranges;
mod sysctl;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::Ipv4Net;

use self::attach::Attachments;
use self::devices::Devices;
use self::flows::Tables;
use self::maps::Maps;
use self::pins::Pins;
use self::pressure::Gauges;
use self::services::Generations;
use crate::link::Netlink;
use crate::{
    Collected, Config, Counter, Datapath, Endpoint, Error, EventSource, Flow, Frontend, IpEntry,
    MapOperations, MapPressure, Node, PolicyEntry, PolicyKey, Service, Tenant,
};

/// The datapath in the kernel: programs on the node's devices, pinned so that they go on without this process.
///
/// It acts on the network namespace of the thread that calls it; in the agent that is the node's.
#[derive(Debug)]
pub struct Kernel {
    config: Config,
    devices: Devices,
    state: Arc<Mutex<State>>,
    /// Half a million entries are not read while a pod waits for the state.
    tables: Tables,
    gauges: Gauges,
    events_taken: Arc<AtomicBool>,
}

#[derive(Debug)]
struct State {
    netlink: Netlink,
    /// Programs that are not attached yet, while others run that read maps of another version.
    waiting: Option<Attachments>,
    maps: Maps,
    generations: Generations,
    /// Entries of the policies written by this process.
    policy_sizes: BTreeMap<u32, usize>,
}

impl Kernel {
    /// Starts the datapath, or takes over the running one: maps and their contents are kept, programs are replaced one by one
    /// while packets flow, pods whose device has vanished are forgotten.
    ///
    /// A running one whose maps have another layout goes on as it is until [`Datapath::activate`]: the maps of this one are empty.
    pub fn open(config: Config) -> Result<Self, Error> {
        let mut netlink = Netlink::new().map_err(|source| Error::Network {
            operation: "read the node's network".to_owned(),
            source,
        })?;
        let pins = Pins::prepare(&config)?;
        let devices = devices::prepare(&mut netlink, &config)?;
        let (mut maps, programs) = object::load(&config, &pins, &devices)?;
        let generations = services::Generations::take_over(&mut maps)?;
        let tables = Tables::open(&pins, config.node_ip)?;
        let gauges = Gauges::open(&pins)?;
        let others_run = pins.others_run;
        let attachments = Attachments::new(pins, programs);
        if !others_run {
            attachments.all(&mut netlink, &config, &devices)?;
        }
        let mut state = State {
            netlink,
            waiting: others_run.then_some(attachments),
            maps,
            generations,
            policy_sizes: BTreeMap::new(),
        };
        ips::set_native(&mut state.maps, &config)?;
        endpoints::take_over(&mut state)?;
        if epoch::is_new(&state.maps)? {
            epoch::leave_behind(&mut state.maps, tables.highest_epoch()?)?;
        }
        // An earlier process may have ended between a change and what follows from it, or while it read events.
        epoch::raise(&mut state.maps)?;
        epoch::set_events(&mut state.maps, false)?;
        Ok(Self {
            config,
            devices,
            state: Arc::new(Mutex::new(state)),
            tables,
            gauges,
            events_taken: Arc::default(),
        })
    }

    /// Names of the devices to the outside that masquerading happens on.
    pub fn device_names(&self) -> Vec<&str> {
        self.devices
            .outside
            .iter()
            .map(|link| link.name.as_str())
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

// A panic while the lock was held leaves maps that are each still valid: they are written one entry at a time.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Datapath for Kernel {
    fn is_active(&self) -> bool {
        self.state().waiting.is_none()
    }

    fn activate(&self) -> Result<(), Error> {
        let state = &mut *self.state();
        let Some(attachments) = &state.waiting else {
            return Ok(());
        };
        attachments.all(&mut state.netlink, &self.config, &self.devices)?;
        state.waiting = None;
        // The programs of before allowed connections until now.
        epoch::leave_behind(&mut state.maps, self.tables.highest_epoch()?)
    }

    fn upsert_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error> {
        endpoints::upsert(&mut self.state(), endpoint)
    }

    fn remove_endpoint(&self, id: u16) -> Result<(), Error> {
        endpoints::remove(&mut self.state(), id)
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        endpoints::list(&self.state().maps)
    }

    fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        endpoints::tenants(&self.state().maps)
    }

    fn upsert_ip(&self, prefix: Ipv4Net, entry: IpEntry) -> Result<(), Error> {
        ips::upsert(&mut self.state().maps, prefix, entry)
    }

    fn remove_ip(&self, prefix: Ipv4Net) -> Result<(), Error> {
        ips::remove(&mut self.state().maps, prefix)
    }

    fn ips(&self) -> Result<Vec<(Ipv4Net, IpEntry)>, Error> {
        ips::list(&self.state().maps)
    }

    fn upsert_node(&self, node: &Node) -> Result<(), Error> {
        nodes::upsert(&mut self.state(), &self.config, &self.devices, node)
    }

    fn remove_node(&self, ip: Ipv4Addr) -> Result<(), Error> {
        nodes::remove(&mut self.state(), &self.devices, ip)
    }

    fn nodes(&self) -> Result<Vec<Node>, Error> {
        nodes::list(&mut self.state(), &self.devices)
    }

    fn upsert_service(&self, service: &Service) -> Result<(), Error> {
        services::upsert(&mut self.state(), service)
    }

    fn remove_service(&self, frontend: Frontend) -> Result<(), Error> {
        services::remove(&mut self.state(), frontend)
    }

    fn numbered_services(&self) -> Result<Vec<(u32, Service)>, Error> {
        services::list(&self.state().maps)
    }

    fn set_policy(&self, id: u32, entries: &BTreeMap<PolicyKey, PolicyEntry>) -> Result<(), Error> {
        policies::set(&mut self.state(), id, entries)
    }

    fn update_policy(
        &self,
        id: u32,
        upserts: &[(PolicyKey, PolicyEntry)],
        removes: &[PolicyKey],
    ) -> Result<(), Error> {
        policies::update(&mut self.state(), id, upserts, removes)
    }

    fn remove_policy(&self, id: u32) -> Result<(), Error> {
        policies::remove(&mut self.state(), id)
    }

    fn policies(&self) -> Result<Vec<u32>, Error> {
        policies::list(&self.state().maps)
    }

    fn policy(&self, id: u32) -> Result<Option<BTreeMap<PolicyKey, PolicyEntry>>, Error> {
        policies::get(&self.state().maps, id)
    }

    fn new_epoch(&self) -> Result<(), Error> {
        epoch::raise(&mut self.state().maps)
    }

    fn upsert_block(&self, prefix: Ipv4Net, number: u32) -> Result<(), Error> {
        blocks::upsert(&mut self.state().maps, prefix, number)
    }

    fn remove_block(&self, prefix: Ipv4Net) -> Result<(), Error> {
        blocks::remove(&mut self.state().maps, prefix)
    }

    fn blocks(&self) -> Result<Vec<(Ipv4Net, u32)>, Error> {
        self.state().maps.cilium_blocks.all()
    }

    fn flows(&self) -> Result<Vec<Flow>, Error> {
        self.tables.list()
    }

    fn is_crowded(&self) -> Result<bool, Error> {
        self.tables.is_crowded()
    }

    fn collect_flows(&self) -> Result<Collected, Error> {
        self.tables.collect()
    }

    fn flush_flows(&self) -> Result<u64, Error> {
        self.tables.flush()
    }

    fn events(&self) -> Result<Box<dyn EventSource>, Error> {
        Ok(Box::new(events::Reader::start(
            &self.state,
            &self.events_taken,
        )?))
    }

    fn lost_events(&self) -> Result<u64, Error> {
        self.state().maps.lost_events()
    }

    fn counters(&self) -> Result<Vec<Counter>, Error> {
        counters::read(&self.state().maps)
    }

    fn map_operations(&self) -> Vec<MapOperations> {
        operations::all()
    }

    fn map_pressure(&self) -> Result<Vec<MapPressure>, Error> {
        self.gauges.read()
    }

    fn pod_mtu(&self) -> u32 {
        self.devices.pod_mtu
    }

    fn device_mtu(&self) -> u32 {
        let sizes = self.devices.outside.iter().map(|link| link.mtu);
        sizes.min().unwrap_or_default()
    }
}

pub use self::remnant::{Remnant, remnants};

#[cfg(feature = "testing")]
pub(crate) use self::maps::key as prefix_key;
#[cfg(feature = "testing")]
pub(crate) use self::object::OBJECT;
#[cfg(feature = "testing")]
pub(crate) use self::policies::{Trie as PolicyTrie, apply as change_policy};

/// A policy as the kernel has it, not yet known to it under a number.
#[cfg(feature = "testing")]
pub(crate) fn policy_trie(
    id: u32,
    entries: &BTreeMap<PolicyKey, PolicyEntry>,
) -> Result<PolicyTrie, Error> {
    policies::make(id, entries)
}
