//! What runs all the time: each task reads what is known, decides, and writes, when its bell rings.

pub mod cluster_health;
pub mod events;
pub mod flows;
pub mod foreign;
pub mod health_ports;
pub mod hubble;
pub mod network;
pub mod node;
pub mod obstacles;
pub mod policy;
pub mod publish;
pub mod service_health;
pub mod services;
pub mod sweep;

use std::time::Duration;

/// Without a ring: look again, in case something was changed behind our back.
const REPAIR: Duration = Duration::from_mins(1);
/// After a failure: try again.
const RETRY: Duration = Duration::from_secs(2);
