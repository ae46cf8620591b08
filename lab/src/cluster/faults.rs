//! The fault proxy of a cluster: put in the API server's place, given orders, taken away.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use super::{Cluster, Error};
use crate::addressing::{API_PORT, Ordinal};
use crate::faults::{Orders, Rule, Tally};
use crate::inside::{FaultProxy, Spec};
use crate::{disk, network};

/// Name of the proxy's process.
const PROCESS: &str = "fault-proxy";
/// The proxy looks at its orders, and writes its tally, every 50 ms.
const NOTICED: Duration = Duration::from_millis(150);

/// The fault proxy of one cluster.
#[derive(Debug, Clone)]
pub struct Faults<'a> {
    cluster: &'a Cluster,
}

impl Cluster {
    /// The proxy that can stand before the API server.
    pub fn faults(&self) -> Faults<'_> {
        Faults { cluster: self }
    }

    /// Starts the proxy if it is wanted and does not run.
    pub(super) fn ensure_fault_proxy(&self) -> Result<bool, Error> {
        let state = self.state()?;
        if !state.faults || self.pid(PROCESS)?.is_some() {
            return Ok(false);
        }
        let plan = state.addressing();
        let faults = self.faults();
        let proxy = FaultProxy {
            network: network::pin(&plan.node_namespace(Ordinal::CONTROL_PLANE)),
            listen: SocketAddrV4::new(plan.node(Ordinal::CONTROL_PLANE), API_PORT),
            upstream: SocketAddrV4::new(Ipv4Addr::LOCALHOST, API_PORT),
            pki: self.dir().pki(),
            orders: faults.orders_file(),
            tally: faults.tally_file(),
        };
        self.start_own(PROCESS, &Spec::FaultProxy(Box::new(proxy)), false)?;
        Ok(true)
    }

    /// The proxy lives in the control-plane node's network and ends with it.
    pub(super) fn stop_fault_proxy(&self) -> Result<(), Error> {
        self.stop_process(PROCESS, Duration::ZERO)
    }
}

impl Faults<'_> {
    /// Puts the proxy in the API server's place, or the API server back. Restarts the API server, so every connection is
    /// made anew and none can go round the proxy. There are no faults until orders are given.
    pub fn enable(&self, wanted: bool) -> Result<(), Error> {
        if self.cluster.state()?.faults == wanted {
            return self.cluster.start_api();
        }
        self.cluster.store.record(|s| s.faults = wanted)?;
        // Never a generation of before: its tally may still lie there.
        self.write(&Orders {
            generation: self.orders().generation + 1,
            ..Orders::default()
        })?;
        self.cluster.stop_fault_proxy()?;
        self.cluster.stop_api()?;
        self.cluster.start_api()
    }

    /// Replaces the rules; counting starts anew.
    pub fn set(&self, rules: Vec<Rule>) -> Result<(), Error> {
        let orders = self.orders();
        self.write(&Orders {
            rules,
            generation: orders.generation + 1,
            ..orders
        })
    }

    /// Ends every watch that is open.
    pub fn cut_watches(&self) -> Result<(), Error> {
        let orders = self.orders();
        self.write(&Orders {
            watches_cut: orders.watches_cut + 1,
            ..orders
        })
    }

    /// The rules in force.
    pub fn rules(&self) -> Vec<Rule> {
        self.orders().rules
    }

    /// What the rules in force have done so far. The proxy writes it with the first request it counts; until then the file
    /// tells of the rules before.
    pub fn tally(&self) -> Tally {
        std::thread::sleep(NOTICED);
        let text = disk::read(&self.tally_file()).unwrap_or_default();
        let tally: Tally = serde_json::from_str(&text).unwrap_or_default();
        tally.of(&self.orders())
    }

    fn orders(&self) -> Orders {
        let text = disk::read(&self.orders_file()).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn write(&self, orders: &Orders) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(orders).unwrap_or_default();
        disk::write(&self.orders_file(), &text)?;
        std::thread::sleep(NOTICED);
        Ok(())
    }

    fn orders_file(&self) -> PathBuf {
        self.cluster.dir().path().join("faults.json")
    }

    fn tally_file(&self) -> PathBuf {
        self.cluster.dir().path().join("faults-tally.json")
    }
}
