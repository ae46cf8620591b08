//! Cables between a node, or the outside host, and the switch: pulled, slow, lossy, mended.

use std::time::Duration;

use super::{Cluster, Error};
use crate::addressing::Addressing;
use crate::inside::{Impairment, Relay, Spec};
use crate::network::{self, Cable};

/// The cable of one node or of the outside host.
#[derive(Debug, Clone)]
pub struct Link<'a> {
    cluster: &'a Cluster,
    name: String,
}

impl Cluster {
    /// The cable between the switch and a node, or `outside`.
    pub fn link(&self, name: &str) -> Result<Link<'_>, Error> {
        if name != network::OUTSIDE {
            self.node(name)?;
        }
        Ok(Link {
            cluster: self,
            name: name.to_owned(),
        })
    }
}

impl Link<'_> {
    /// Pulls the cable: the node's interface loses its carrier.
    pub fn cut(&self) -> Result<(), Error> {
        let (plan, cable) = self.cable()?;
        Ok(network::set_port(&plan, &cable, false)?)
    }

    /// Makes the cable slow or lossy, in both directions.
    pub fn impair(&self, impairment: Impairment) -> Result<(), Error> {
        self.heal()?;
        let (plan, cable) = self.cable()?;
        network::interpose(&plan, &cable)?;
        let relay = Relay {
            network: network::pin(&plan.switch_namespace()),
            ends: [cable.port.clone(), cable.far_end()],
            impairment,
        };
        self.cluster
            .start_own(&self.process(), &Spec::Relay(relay), false)?;
        Ok(())
    }

    /// Makes the cable as good as new.
    pub fn heal(&self) -> Result<(), Error> {
        let (plan, cable) = self.cable()?;
        self.cluster.stop_process(&self.process(), Duration::ZERO)?;
        network::plug_straight(&plan, &cable)?;
        Ok(network::set_port(&plan, &cable, true)?)
    }

    /// Forgets what was done to the cable; for a node whose cable is about to be made anew.
    pub(super) fn forget(&self) -> Result<(), Error> {
        let (plan, cable) = self.cable()?;
        self.cluster.stop_process(&self.process(), Duration::ZERO)?;
        network::remove_interposed(&plan, &cable)?;
        Ok(())
    }

    fn process(&self) -> String {
        format!("link-{}", self.name)
    }

    fn cable(&self) -> Result<(Addressing, Cable), Error> {
        let plan = self.cluster.state()?.addressing();
        let cable = if self.name == network::OUTSIDE {
            Cable {
                port: network::OUTSIDE.to_owned(),
                namespace: plan.outside_namespace(),
            }
        } else {
            let ordinal = self.cluster.node(&self.name)?.ordinal()?;
            Cable {
                port: plan.port(ordinal),
                namespace: plan.node_namespace(ordinal),
            }
        };
        Ok((plan, cable))
    }
}
