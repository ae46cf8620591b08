//! Names, paths and ports that Cilium users, dashboards and tools already know.
//!
//! Source: Cilium 1.20 (`pkg/defaults`, the Helm chart's objects, `pkg/k8s/apis/cilium.io`).

/// API group of every kind in this crate.
pub const GROUP: &str = "cilium.io";
/// Version of every kind in this crate.
pub const VERSION: &str = "v2";

/// Namespace of the agent and of the Cilium operator.
pub const NAMESPACE: &str = "kube-system";
/// DaemonSet, ServiceAccount and ClusterRole of the agent.
pub const AGENT: &str = "cilium";
/// Container of the agent inside its pod.
pub const AGENT_CONTAINER: &str = "cilium-agent";
/// Deployment, ServiceAccount and ClusterRole of the operator.
pub const OPERATOR: &str = "cilium-operator";
/// ConfigMap that tools such as cilium-cli read the agent's configuration from.
pub const CONFIG_MAP: &str = "cilium-config";
/// Label selector of the agent's pods.
pub const AGENT_SELECTOR: &str = "k8s-app=cilium";
/// Label selector of the operator's pods.
pub const OPERATOR_SELECTOR: &str = "io.cilium/app=operator";
/// Lease (in [`NAMESPACE`]) held by the leading operator.
pub const OPERATOR_LEASE: &str = "cilium-operator-resource-lock";

/// Runtime directory of the agent on the node.
pub const RUNTIME_DIR: &str = "/var/run/cilium";
/// Unix socket of the agent's API; mode 0600, root only.
pub const AGENT_SOCKET: &str = "/var/run/cilium/cilium.sock";
/// One directory per endpoint, read back when the agent starts again.
pub const STATE_DIR: &str = "/var/run/cilium/state";
/// Where the CNI plugin leaves delete requests while the agent is down.
pub const DELETE_QUEUE_DIR: &str = "/var/run/cilium/deleteQueue";
/// The BPF file system of the node.
pub const BPFFS_ROOT: &str = "/sys/fs/bpf";
/// Where the kubelet looks for CNI programs.
pub const CNI_BIN_DIR: &str = "/opt/cni/bin";
/// Our CNI program inside [`CNI_BIN_DIR`].
pub const CNI_BIN: &str = "cilium-cni";
/// Where the kubelet's runtime looks for CNI configuration.
pub const CNI_CONF_DIR: &str = "/etc/cni/net.d";
/// Our configuration inside [`CNI_CONF_DIR`]; sorts before what distributions install.
pub const CNI_CONF: &str = "05-cilium.conflist";

/// `/healthz` of the agent, loopback of the node.
pub const AGENT_HEALTH_PORT: u16 = 9879;
/// Where agents ask each other whether they are reached.
pub const CLUSTER_HEALTH_PORT: u16 = 4240;
/// Prometheus metrics of the agent.
pub const AGENT_METRICS_PORT: u16 = 9962;
/// Where load balancers ask the agent whether its node balances Services: kube-proxy's port.
pub const SERVICE_HEALTH_PORT: u16 = 10256;
/// `/healthz` of the operator, loopback of the node.
pub const OPERATOR_HEALTH_PORT: u16 = 9234;
/// Prometheus metrics of the operator.
pub const OPERATOR_METRICS_PORT: u16 = 9963;
/// Hubble's API of the agent, mutual TLS.
pub const HUBBLE_PORT: u16 = 4244;
/// Hubble's API of the agent for root of the node; mode 0600.
pub const HUBBLE_SOCKET: &str = "/var/run/cilium/hubble.sock";
/// Folder of the node that an agent writes flows to, for who collects logs. On a disk: `/run` would take the memory of whoever writes.
pub const HUBBLE_EXPORT_DIR: &str = "/var/log/cilium/hubble";
/// The file in [`HUBBLE_EXPORT_DIR`]; those put aside have a number before the ending.
pub const HUBBLE_EXPORT_FILE: &str = "events.log";
/// Secret (in [`NAMESPACE`]) with the agents' certificate for [`HUBBLE_PORT`].
pub const HUBBLE_SERVER_CERTS: &str = "hubble-server-certs";
/// Where that Secret is mounted in the agent.
pub const HUBBLE_TLS_DIR: &str = "/var/lib/cilium/tls/hubble";
/// Secret (in `gloo-mesh`) with a client's certificate for [`HUBBLE_PORT`]; upstream's relay has one of that name.
pub const HUBBLE_CLIENT_CERTS: &str = "hubble-relay-client-certs";
/// What the certificate of a client that may read flows is for.
pub const HUBBLE_CLIENT: &str = "client.hubble-relay.cilium.io";
/// The name clients verify any agent of a cluster by: `*.<cluster>.` before this.
pub const HUBBLE_DOMAIN: &str = "hubble-grpc.cilium.io";
/// Deployment and Service of Hubble's relay.
pub const HUBBLE_RELAY: &str = "hubble-relay";
/// The relay's API, mutual TLS.
pub const HUBBLE_RELAY_PORT: u16 = 4245;
pub const HUBBLE_RELAY_HEALTH_PORT: u16 = 4222;
pub const HUBBLE_RELAY_METRICS_PORT: u16 = 9966;
/// Secret (in [`NAMESPACE`]) with the relay's certificate for [`HUBBLE_RELAY_PORT`].
pub const HUBBLE_RELAY_SERVER_CERTS: &str = "hubble-relay-server-certs";
/// The name upstream's clients verify a relay by has one label before this.
pub const HUBBLE_RELAY_DOMAIN: &str = "hubble-relay.cilium.io";
/// Service in front of [`HUBBLE_PORT`] of the agent on the same node.
pub const HUBBLE_PEER: &str = "hubble-peer";
/// Service in front of [`CLUSTER_HEALTH_PORT`] of every agent, by which agents see whether Services work.
pub const CLUSTER_HEALTH_SERVICE: &str = "cilium-health";
/// UDP port of the VXLAN overlay.
pub const TUNNEL_PORT: u16 = 8472;

/// Slots that a table of Maglev's may have; the agent has the same list.
pub const MAGLEV_TABLE_SIZES: [u32; 10] = [
    251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071,
];

/// Taint a node carries from its registration until its agent is ready.
pub const AGENT_NOT_READY_TAINT: &str = "node.cilium.io/agent-not-ready";
/// Reason of the `NetworkUnavailable=False` condition on a node with a ready agent.
pub const CILIUM_IS_UP: &str = "CiliumIsUp";

/// Annotation of a CiliumNode with the podCIDR its agent runs with.
pub const POD_CIDR_ANNOTATION: &str = "network.cilium.io/ipv4-pod-cidr";

/// Label with the namespace of an identity's pods; without source on the object, `k8s:`-prefixed in security-labels.
pub const POD_NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";
/// Prefix under which the labels of a pod's namespace enter the identity.
pub const NAMESPACE_LABELS_PREFIX: &str = "io.cilium.k8s.namespace.labels";
/// Label with the name of the cluster.
pub const CLUSTER_LABEL: &str = "io.cilium.k8s.policy.cluster";
/// Label with the name of the pod's ServiceAccount.
pub const SERVICE_ACCOUNT_LABEL: &str = "io.cilium.k8s.policy.serviceaccount";
/// Source prefix of labels that come from Kubernetes.
pub const K8S_SOURCE: &str = "k8s";
