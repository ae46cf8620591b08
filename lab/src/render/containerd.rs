use super::{CONTAINERD_SOCKET, SANDBOX_IMAGE};

/// containerd's configuration, the same on every node.
///
/// `restrict_oom_score_adj`: a machine without `CAP_SYS_RESOURCE` cannot lower oom_score_adj, and runc dies trying.
/// The pinned sandbox keeps a missing image from hanging every pod in a pull that never ends.
pub fn config() -> String {
    format!(
        r#"version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = "{SANDBOX_IMAGE}"

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = true

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/opt/cni/bin"]
conf_dir = "/etc/cni/net.d"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
SystemdCgroup = false
"#
    )
}
