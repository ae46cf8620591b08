//! Ports of a node's address that lead to a Service, as a cloud's load balancer would.

use std::net::SocketAddrV4;
use std::time::Duration;

use super::{Cluster, Error};
use crate::inside::{Balancer, Spec};
use crate::network;

impl Cluster {
    /// Opens `port` of the node's address; connections go on to `to`. One that leads there already is left alone, one that
    /// leads elsewhere is replaced. It stays until the cluster goes down.
    pub fn open_balancer(
        &self,
        node: &str,
        port: u16,
        to: SocketAddrV4,
    ) -> Result<SocketAddrV4, Error> {
        let node = self.node(node)?;
        let plan = self.state()?.addressing();
        let ordinal = node.ordinal()?;
        let listen = SocketAddrV4::new(plan.node(ordinal), port);
        // The name says where it leads, so that the state file alone tells one that is right from one that is not.
        let family = format!("balancer-{}-{port}-", node.name());
        let name = format!("{family}{}-{}", to.ip(), to.port());
        for other in self.state()?.processes.into_keys() {
            if other.starts_with(&family) && other != name {
                self.stop_process(&other, Duration::ZERO)?;
            }
        }
        if self.pid(&name)?.is_none() {
            let balancer = Balancer {
                network: network::pin(&plan.node_namespace(ordinal)),
                cgroups: node.cgroups()?,
                listen,
                to,
            };
            self.start_own(&name, &Spec::Balancer(balancer), false)?;
        }
        Ok(listen)
    }
}
