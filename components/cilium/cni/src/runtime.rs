//! Names in the agent's folder on the node: the agent makes these, and who cleans up after the last agent looks for them.

/// The folder, unless said otherwise.
pub const FOLDER: &str = "/var/run/cilium";
/// The agent's API.
pub const SOCKET: &str = "cilium.sock";
/// Hubble's API, unless said otherwise.
pub const HUBBLE_SOCKET: &str = "hubble.sock";
/// Folder of what survives a restart.
pub const STATE: &str = "state";
/// File in [`STATE`] that a running agent holds locked from its first moment on, long before it listens.
pub const LOCK: &str = "lockfile";
/// Folder of deletions for an agent that is down.
pub const QUEUE: &str = "deleteQueue";
/// What the installer found, for the agent to tell.
pub const INSTALL_REPORT: &str = "cni-install.json";
