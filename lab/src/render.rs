//! Configuration files of the cluster's programs, as text. Pure.

mod cni;
mod containerd;
mod control_plane;
mod coredns;
mod kubeconfig;
mod kubelet;

pub use cni::reference as reference_cni;
pub use containerd::config as containerd;
pub use control_plane::{ApiServer, api_server, audit_policy, controller_manager, etcd, scheduler};
pub use coredns::manifests as coredns;
pub use kubeconfig::kubeconfig;
pub use kubelet::config as kubelet;

/// Where a node finds the files the lab wrote for it.
pub const KUBERNETES: &str = "/etc/kubernetes";
/// Certificates on the control-plane node.
pub const PKI: &str = "/etc/kubernetes/pki";
/// containerd's socket in every node.
pub const CONTAINERD_SOCKET: &str = "/run/containerd/containerd.sock";
/// The image every pod sandbox is made of.
pub const SANDBOX_IMAGE: &str = "registry.k8s.io/pause:3.10.2";
