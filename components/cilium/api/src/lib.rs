//! The cilium.io custom resources and the names other Cilium programs rely on.
//!
//! Pure: types, constants and functions of their arguments. The agent, the Cilium operator and the catalog meet here and
//! on the wire, nowhere else.
#![forbid(unsafe_code)]

pub mod admission;
mod condition;
pub mod crd;
pub mod endpoint;
pub mod hubble_metrics;
pub mod identity;
pub mod identity_labels;
pub mod load_balancer_pool;
pub mod names;
pub mod node;
pub mod numeric_identity;
pub mod policy;

pub use condition::Condition;
pub use crd::crds;
pub use endpoint::{CiliumEndpoint, EndpointState, EndpointStatus};
pub use hubble_metrics::HubbleMetric;
pub use identity::CiliumIdentity;
pub use identity_labels::{LabelSet, identity_labels};
pub use load_balancer_pool::CiliumLoadBalancerIPPool;
pub use node::{CiliumNode, CiliumNodeSpec, CiliumNodeStatus};
pub use numeric_identity::NumericIdentity;
pub use policy::{CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy};
