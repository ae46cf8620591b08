//! Names of the values that [`crate::ProbeKind::Carried`] measures.

/// Nodes that the agent knows of, its own among them.
pub const KNOWN: &str = "known";
/// Nodes that it reaches on the pod network.
pub const REACHED: &str = "reached";
/// Before a node's name: attempts in a row that failed, at a node that was never reached. 0: not tried yet.
pub const NODE_NEW: &str = "new/";
/// Before a node's name: attempts in a row that failed, at a node that was reached before.
pub const NODE_LOST: &str = "lost/";
/// Attempts in a row that failed at the agents' Service, which never answered.
pub const SERVICE_NEW: &str = "service new";
/// Attempts in a row that failed at the agents' Service, which answered before. 0: it answers.
pub const SERVICE_LOST: &str = "service lost";
