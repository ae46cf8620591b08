//! The datapath in the kernel.

mod attach;
mod bpf;
mod counters;
mod devices;
mod endpoints;
mod ips;
mod maps;
mod nodes;
mod object;
mod pins;
mod services;
mod sysctl;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::Ipv4Net;

use self::attach::Attachments;
use self::devices::Devices;
use self::maps::Maps;
use self::pins::Pins;
use self::services::Generations;
use crate::link::Netlink;
use crate::{
    Config, Counter, Datapath, Endpoint, Error, Frontend, IpEntry, MapPressure, Node, Service,
};

/// The datapath in the kernel: programs on the node's devices, pinned so that they go on without this process.
///
/// It acts on the network namespace of the thread that calls it; in the agent that is the node's.
#[derive(Debug)]
pub struct Kernel {
    config: Config,
    devices: Devices,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    netlink: Netlink,
    maps: Maps,
    generations: Generations,
}

impl Kernel {
    /// Starts the datapath, or takes over the running one: maps and their contents are kept, programs are replaced one by one
    /// while packets flow, pods whose device has vanished are forgotten.
    pub fn open(config: Config) -> Result<Self, Error> {
        let mut netlink = Netlink::new().map_err(|source| Error::Network {
            operation: "read the node's network".to_owned(),
            source,
        })?;
        let pins = Pins::prepare(&config)?;
        let devices = devices::prepare(&mut netlink, &config)?;
        let (maps, programs) = object::load(&config, &pins, devices.tunnel.index)?;
        let generations = services::Generations::read(&maps)?;
        let attachments = Attachments::new(pins, programs);
        attachments.node(&config, &devices)?;
        attachments.pods(&mut netlink, &devices)?;
        let mut state = State {
            netlink,
            maps,
            generations,
        };
        ips::set_native(&mut state.maps, &config)?;
        endpoints::take_over(&mut state)?;
        Ok(Self {
            config,
            devices,
            state: Mutex::new(state),
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

    // A panic while the lock was held leaves maps that are each still valid: they are written one entry at a time.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Datapath for Kernel {
    fn upsert_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error> {
        endpoints::upsert(&mut self.state(), endpoint)
    }

    fn remove_endpoint(&self, id: u16) -> Result<(), Error> {
        endpoints::remove(&mut self.state(), id)
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        endpoints::list(&self.state().maps)
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
        nodes::list(&self.state().maps)
    }

    fn upsert_service(&self, service: &Service) -> Result<(), Error> {
        services::upsert(&mut self.state(), service)
    }

    fn remove_service(&self, frontend: Frontend) -> Result<(), Error> {
        services::remove(&mut self.state(), frontend)
    }

    fn services(&self) -> Result<Vec<Service>, Error> {
        services::list(&self.state().maps)
    }

    fn counters(&self) -> Result<Vec<Counter>, Error> {
        counters::read(&self.state().maps)
    }

    fn map_pressure(&self) -> Result<Vec<MapPressure>, Error> {
        Ok(self.state().maps.pressure())
    }

    fn pod_mtu(&self) -> u32 {
        self.devices.pod_mtu
    }
}

/// Takes everything of ours off the node: programs, maps, devices, routes. Pods keep their links and lose their network.
pub fn cleanup(bpffs: &Path) -> Result<(), Error> {
    pins::remove_all(bpffs)?;
    devices::remove_all()
}
