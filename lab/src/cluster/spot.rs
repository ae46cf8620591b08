//! Places with a network of their own, and raw frames there.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::{Cluster, Error};
use crate::inside::Place;
use crate::network;
use crate::packet::{self, PacketSocket, interfaces, within};

/// A place in a cluster that has a network of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spot {
    /// A node, by name.
    Node(String),
    /// The pod with this address.
    Pod(Ipv4Addr),
    /// The host beyond the cluster.
    Outside,
    /// The switch between the nodes.
    Switch,
}

/// The network namespace of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodNetwork {
    /// The node the pod is on.
    pub node: String,
    /// The pod's addresses, without loopback; empty while it is being set up.
    pub addresses: Vec<Ipv4Addr>,
    /// A path of the machine that can be entered; valid as long as the node runs.
    pub path: PathBuf,
}

impl Spot {
    /// Reads `outside`, `switch`, `pod/ADDRESS` or a node's name.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("pod/").map(str::parse) {
            Some(Ok(address)) => Self::Pod(address),
            _ if text == "outside" => Self::Outside,
            _ if text == "switch" => Self::Switch,
            _ => Self::Node(text.to_owned()),
        }
    }
}

impl Cluster {
    /// Opens a socket for raw frames on an interface. It works until dropped, whatever becomes of the cluster.
    pub fn packets(&self, spot: &Spot, interface: &str) -> Result<PacketSocket, Error> {
        Ok(within(&self.network_of(spot)?, || {
            PacketSocket::open(interface)
        })??)
    }

    /// Sends one raw frame, link header first, out of an interface.
    pub fn inject(&self, spot: &Spot, interface: &str, frame: &[u8]) -> Result<(), Error> {
        Ok(self.packets(spot, interface)?.send(frame)?)
    }

    /// The interfaces of a place, by name.
    pub fn interfaces(
        &self,
        spot: &Spot,
    ) -> Result<std::collections::BTreeMap<String, packet::Interface>, Error> {
        Ok(within(&self.network_of(spot)?, interfaces)??)
    }

    /// The command that runs a program at a place with the caller's own input and output: in a node with everything that
    /// is the node's, elsewhere with the place's network and the machine's files.
    pub fn command_at(
        &self,
        spot: &Spot,
        argv: Vec<String>,
    ) -> Result<std::process::Command, Error> {
        if let Spot::Node(name) = spot {
            return self.node(name)?.command(argv);
        }
        Ok(self.internal(&self.foreground(Place::Network(self.network_of(spot)?), argv)))
    }

    /// The file that stands for a place's network namespace.
    pub fn network_of(&self, spot: &Spot) -> Result<PathBuf, Error> {
        let plan = self.state()?.addressing();
        match spot {
            Spot::Node(name) => Ok(network::pin(
                &plan.node_namespace(self.node(name)?.ordinal()?),
            )),
            Spot::Outside => Ok(network::pin(&plan.outside_namespace())),
            Spot::Switch => Ok(network::pin(&plan.switch_namespace())),
            Spot::Pod(address) => self.network_of_pod(*address),
        }
    }

    /// Every pod network of the cluster: its address, its node and the file that stands for it.
    ///
    /// containerd pins the namespace of every sandbox under `/run/netns` of its node. Pods in their node's own network have
    /// none.
    pub fn pod_networks(&self) -> Result<Vec<PodNetwork>, Error> {
        let mut networks = Vec::new();
        for node in self.nodes()? {
            let Some(pid) = node.init_pid()? else {
                continue;
            };
            let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/root/run/netns")) else {
                continue;
            };
            for path in entries.flatten().map(|entry| entry.path()) {
                // A sandbox that ends while we look is no pod any more.
                let Ok(Ok(found)) = within(&path, interfaces) else {
                    continue;
                };
                let addresses = found.values().flat_map(|i| i.addresses.iter().copied());
                networks.push(PodNetwork {
                    node: node.name().to_owned(),
                    addresses: addresses.filter(|address| !address.is_loopback()).collect(),
                    path,
                });
            }
        }
        Ok(networks)
    }

    fn network_of_pod(&self, address: Ipv4Addr) -> Result<PathBuf, Error> {
        let found = self
            .pod_networks()?
            .into_iter()
            .find(|network| network.addresses.contains(&address));
        Ok(found.ok_or(Error::NoPod(address))?.path)
    }
}
