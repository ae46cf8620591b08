//! Forwarders from the machine's loopback into the lab: the only way in.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use super::{Cluster, Error, Spot};
use crate::addressing::{API_PORT, Ordinal};
use crate::inside::{Door, Spec};
use crate::network;

/// Name of the API server's door among the processes; further doors carry their port after it.
const DOOR: &str = "door";

impl Cluster {
    /// Opens a port on 127.0.0.1 whose connections start anew at a place in the lab, and returns it. Without a wish the
    /// port is any free one. The door stays open until it is closed or the cluster goes down.
    pub fn open_door(
        &self,
        from: &Spot,
        to: SocketAddrV4,
        port: Option<u16>,
    ) -> Result<u16, Error> {
        let port = match port {
            Some(port) => port,
            None => free_port()?,
        };
        self.start_door(&format!("{DOOR}-{port}"), port, self.network_of(from)?, to)?;
        Ok(port)
    }

    /// Closes a door of [`Cluster::open_door`]; one that is closed already is fine.
    pub fn close_door(&self, port: u16) -> Result<(), Error> {
        self.stop_process(&format!("{DOOR}-{port}"), Duration::ZERO)
    }

    /// Ports of the doors of [`Cluster::open_door`].
    pub fn doors(&self) -> Result<Vec<u16>, Error> {
        let ports = |name: &String| name.strip_prefix(DOOR)?.strip_prefix('-')?.parse().ok();
        Ok(self.state()?.processes.keys().filter_map(ports).collect())
    }

    /// The door to the API server.
    pub(super) fn ensure_api_door(&self) -> Result<bool, Error> {
        if self.pid(DOOR)?.is_some() {
            return Ok(false);
        }
        let plan = self.state()?.addressing();
        let network = network::pin(&plan.node_namespace(Ordinal::CONTROL_PLANE));
        let to = SocketAddrV4::new(plan.node(Ordinal::CONTROL_PLANE), API_PORT);
        self.start_door(DOOR, plan.door_port(), network, to)?;
        Ok(true)
    }

    fn start_door(
        &self,
        name: &str,
        port: u16,
        network: PathBuf,
        to: SocketAddrV4,
    ) -> Result<(), Error> {
        self.start_own(name, &Spec::Door(Door { port, network, to }), false)?;
        Ok(())
    }
}

fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Port)?;
    Ok(listener.local_addr().map_err(Error::Port)?.port())
}
