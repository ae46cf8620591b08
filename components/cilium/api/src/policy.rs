//! CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy and CiliumCIDRGroup.
//!
//! `spec` and `specs` stay as they were written, and the schema keeps fields it does not know: a field that is dropped
//! unseen can turn "from these" into "from everyone". [`read`](mod@read) takes them apart strictly, one policy at a time.

mod kinds;
pub mod read;
mod refusal;
pub mod rule;
mod schema;
mod unplaced;

pub use kinds::{
    CiliumCIDRGroup, CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, PolicyStatus, VALID,
};
pub use read::{ReadRule, read_cidr_group, read_rules};
pub use refusal::Refusal;
pub use unplaced::{MOST_UNPLACED, UNPLACED_ANNOTATION, Unplaced, read_unplaced, write_unplaced};

pub(crate) use schema::crds;
