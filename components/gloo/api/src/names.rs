//! Names and ports that Gloo users and their tools already know.

/// Namespace of the management plane, in every cluster.
pub const NAMESPACE: &str = "gloo-mesh";
/// Deployment, Service and ServiceAccount of the management server.
pub const MANAGEMENT_SERVER: &str = "gloo-mesh-mgmt-server";
/// Deployment and ServiceAccount of the agent.
pub const AGENT: &str = "gloo-mesh-agent";
/// Deployment and ServiceAccount of the analyzer.
pub const ANALYZER: &str = "gloo-analyzer";
/// Deployment and ServiceAccount of the insights engine.
pub const INSIGHTS: &str = "gloo-insights";
/// The name the server's certificate has, whatever address an agent reaches it at.
pub const RELAY_AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";

/// Relay, gRPC over mutual TLS.
pub const RELAY_PORT: u16 = 9900;
/// Statistics and snapshots of the management server.
pub const SERVER_STATS_PORT: u16 = 9091;
/// Health of the management server. Gloo's 8090 is also its UI's, so everybody moved it here.
pub const SERVER_HEALTH_PORT: u16 = 8091;
/// Statistics of the agent.
pub const AGENT_STATS_PORT: u16 = 9091;
/// Health of the agent.
pub const AGENT_HEALTH_PORT: u16 = 8090;

/// Statistics of the analyzer.
pub const ANALYZER_STATS_PORT: u16 = 9092;
/// Health of the analyzer.
pub const ANALYZER_HEALTH_PORT: u16 = 8092;
/// Statistics of the insights engine.
pub const INSIGHTS_STATS_PORT: u16 = 9094;
/// Health of the insights engine.
pub const INSIGHTS_HEALTH_PORT: u16 = 8093;
/// Insights, on the loopback of the engine's pod.
pub const INSIGHTS_API_PORT: u16 = 9095;

/// Secret with the server's certificate (`tls.crt`, `tls.key`, `ca.crt`).
pub const SERVER_TLS: &str = "relay-server-tls-secret";
/// Secret with the authority that signs agents' certificates (`tls.crt`, `tls.key`).
pub const SIGNING: &str = "relay-tls-signing-secret";
/// Secret in every cluster with the authority that agents know the server by (`ca.crt`).
pub const ROOT: &str = "relay-root-tls-secret";
/// Secret in which an agent keeps its own certificate (`tls.crt`, `tls.key`, `ca.crt`).
pub const CLIENT_TLS: &str = "relay-client-tls-secret";
/// Secret with the one-time token of a cluster that is to enrol (`token`).
pub const TOKEN: &str = "relay-identity-token-secret";
/// Secret of the management cluster with a record of each token, by cluster.
pub const TOKENS: &str = "relay-enrolment-tokens";
/// Secret of the management cluster with the key that seals what is in Redis (`key`).
pub const STORE_KEY: &str = "relay-store-key";
/// Secret of the management cluster with the key that tokens for telemetry are signed with (`key.pem`, `jwks.json`).
pub const TELEMETRY_KEY: &str = "gloo-telemetry-token-signing-secret";
/// Secret of a workload cluster with what its collectors show the gateway (`token`), and the gateway's authority (`ca.crt`).
pub const TELEMETRY_TOKEN: &str = "gloo-telemetry-token-secret";
/// Who signs tokens for telemetry.
pub const TELEMETRY_ISSUER: &str = "https://gloo-mesh-mgmt-server.gloo-mesh";
/// Whom they are for.
pub const TELEMETRY_AUDIENCE: &str = "gloo-telemetry-gateway";
/// ConfigMap of a workload cluster by which its own people hold the agent back (`killSwitch`, `confirmRemoval`).
pub const CONTROL: &str = "gloo-mesh-agent-control";

/// Namespaces in which the agent writes no policy, whatever the server wants.
pub const PROTECTED_NAMESPACES: [&str; 3] = ["kube-system", NAMESPACE, "gloonet-system"];

/// WorkspaceSettings of this name in [`NAMESPACE`] stand for those of every workspace.
pub const GLOBAL_SETTINGS: &str = "global";
