use std::sync::Arc;

use datapath::{Datapath, IpEntry};
use ipnet::Ipv4Net;

use super::EndpointError;
use crate::endpoint::Endpoint;
use crate::store::Store;

/// The two places an endpoint is written to: the datapath and the state folder.
pub(super) struct Writer {
    pub(super) datapath: Arc<dyn Datapath>,
    pub(super) store: Store,
}

impl Writer {
    /// The table of addresses first: a packet of the pod that comes at once finds whose it is.
    pub(super) fn program(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let failed = |source| EndpointError::Datapath {
            endpoint: endpoint.attachment.clone(),
            source: Box::new(source),
        };
        let entry = IpEntry {
            identity: endpoint.identity.0,
            tunnel: None,
        };
        self.datapath
            .upsert_ip(Ipv4Net::from(endpoint.ip), entry)
            .map_err(failed)?;
        self.datapath
            .upsert_endpoint(&endpoint.for_datapath())
            .map_err(failed)
    }

    pub(super) fn unprogram(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        self.take_back(endpoint)?;
        self.store
            .remove_endpoint(endpoint.id)
            .map_err(|source| EndpointError::Store {
                endpoint: endpoint.attachment.clone(),
                source,
            })
    }

    /// Out of the datapath; what is written of it stays.
    pub(super) fn take_back(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        let failed = |source| EndpointError::Datapath {
            endpoint: endpoint.attachment.clone(),
            source: Box::new(source),
        };
        self.datapath.remove_endpoint(endpoint.id).map_err(failed)?;
        self.datapath
            .remove_ip(Ipv4Net::from(endpoint.ip))
            .map_err(failed)
    }

    pub(super) fn keep(&self, endpoint: &Endpoint) -> Result<(), EndpointError> {
        self.store
            .write_endpoint(endpoint)
            .map_err(|source| EndpointError::Store {
                endpoint: endpoint.attachment.clone(),
                source,
            })
    }
}
