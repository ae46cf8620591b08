//! Names this program shares with the rest of the platform.

/// Where the management plane's own objects are.
pub const NAMESPACE: &str = "gloo-mesh";
/// Field manager of everything the agent applies.
pub const FIELD_MANAGER: &str = "gloo-mesh-agent";
/// What the agent verifies the server with; key `ca.crt`.
pub const ROOT_SECRET: &str = "relay-root-tls-secret";
/// The one-time token; key `token`.
pub const TOKEN_SECRET: &str = "relay-identity-token-secret";
/// The agent's own certificate; made empty by the operator, written by the agent.
pub const CLIENT_SECRET: &str = "relay-client-tls-secret";
/// The local administrator's word.
pub const CONTROL: &str = "gloo-mesh-agent-control";
/// The management plane touches nothing here, whatever the server says.
pub const PROTECTED: [&str; 3] = ["kube-system", "gloo-mesh", "gloonet-system"];
/// The name the server's certificate has.
pub const AUTHORITY: &str = "gloo-mesh-mgmt-server.gloo-mesh";

/// Labels every applied policy has. The last value is the cluster's name.
pub const OWNER: [(&str, &str); 3] = [
    ("agent.gloo.solo.io", "gloo-mesh"),
    ("owner.gloo.solo.io/name", "gloo-mesh"),
    ("reconciler.mesh.gloo.solo.io/name", "translator"),
];
/// The cluster an applied policy is for.
pub const CLUSTER_LABEL: &str = "relay.solo.io/cluster";
