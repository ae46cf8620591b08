use crate::endpoint::AttachmentKey;
use crate::ipam::PoolError;
use crate::store::StoreError;

/// Why an endpoint could not be made, changed or removed.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    #[error(transparent)]
    Address(#[from] PoolError),
    #[error("container {0} already has an endpoint")]
    Exists(AttachmentKey),
    #[error("endpoint {0} was deleted meanwhile")]
    Deleted(AttachmentKey),
    #[error("the node has 65535 endpoints, the most there can be")]
    NoNumber,
    #[error("the datapath did not take endpoint {endpoint}")]
    Datapath {
        endpoint: AttachmentKey,
        #[source]
        source: Box<datapath::Error>,
    },
    #[error("the state of endpoint {endpoint} could not be kept")]
    Store {
        endpoint: AttachmentKey,
        #[source]
        source: StoreError,
    },
}
