//! Names of the management plane, kept as Gloo's users know them, with what only we have named alike.

/// Workload, Service and ServiceAccount of the management server.
pub const SERVER: &str = "gloo-mesh-mgmt-server";
/// Workload and ServiceAccount of the agent.
pub const AGENT: &str = "gloo-mesh-agent";
/// The name agents verify the server by.
pub const SERVER_AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";
/// Port agents connect to.
pub const RELAY_PORT: u16 = 9900;
/// Port of `/metrics` and `/snapshots`, of server and agent.
pub const STATS_PORT: u16 = 9091;
/// Port of `/healthz`, `/readyz` and `/relay` of the server.
pub const SERVER_HEALTH_PORT: u16 = 8091;
/// Port of `/healthz`, `/readyz` and `/relay` of the agent.
pub const AGENT_HEALTH_PORT: u16 = 8090;

/// The authority that signs agents' certificates and the server's: keys `tls.crt`, `tls.key`. Made once.
pub const SIGNING_SECRET: &str = "relay-tls-signing-secret";
/// The server's certificate.
pub const SERVER_SECRET: &str = "relay-server-tls-secret";
/// In every cluster, key `ca.crt`: what the agent verifies the server with.
pub const ROOT_SECRET: &str = "relay-root-tls-secret";
/// The agent's certificate; the agent writes it.
pub const CLIENT_SECRET: &str = "relay-client-tls-secret";
/// In every cluster, key `token`: what the agent gets its first certificate with.
pub const TOKEN_SECRET: &str = "relay-identity-token-secret";
/// In the management cluster: one key per cluster, holding the hash of its token.
pub const RECORDS_SECRET: &str = "relay-enrolment-tokens";
/// In the management cluster: what the server seals its entries in Redis with. Made once.
pub const STORE_KEY_SECRET: &str = "relay-store-key";

/// API group and version of KubernetesCluster, Workspace, WorkspaceSettings and Dashboard.
pub const ADMIN_API: (&str, &str) = ("admin.gloo.solo.io", "v2");
