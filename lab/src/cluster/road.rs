//! Roads between clusters: their outside hosts route for each other's nodes. Pods and Services stay each cluster's own.

use super::{Cluster, Error};
use crate::network;

impl Cluster {
    /// Lets the nodes of both clusters reach each other; a road that is there is fine. Cutting the cable of `outside` closes
    /// all roads of a cluster.
    pub fn join(&self, other: &Self) -> Result<(), Error> {
        let (here, there) = (self.state()?.addressing(), other.state()?.addressing());
        Ok(network::make_road(&here, &there)?)
    }
}
