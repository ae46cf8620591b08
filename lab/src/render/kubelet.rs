use serde_json::json;

use super::{CONTAINERD_SOCKET, KUBERNETES};
use crate::addressing::{CLUSTER_DNS, Ordinal};

/// The kubelet's configuration file. JSON, which is YAML.
///
/// `failCgroupV1` off: the machine may have the hybrid hierarchy. Eviction near zero: all nodes share one disk, and a full
/// one would evict everything everywhere. `oomScoreAdj` 0: lowering it needs `CAP_SYS_RESOURCE`. `maxPods`: the usual 110 leave no
/// room for a measurement's hundred beside the platform's own.
pub fn config(ordinal: Ordinal) -> String {
    let mut document = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": format!("{KUBERNETES}/ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": format!("{KUBERNETES}/kubelet.crt"),
        "tlsPrivateKeyFile": format!("{KUBERNETES}/kubelet.key"),
        "clusterDomain": "cluster.local",
        "clusterDNS": [CLUSTER_DNS],
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD_SOCKET}"),
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": false,
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "oomScoreAdj": 0,
        "maxPods": 200,
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
        },
        "makeIPTablesUtilChains": false,
        "serializeImagePulls": false,
        "registerNode": true,
        "resolvConf": "",
    });
    if ordinal.is_control_plane() {
        document["registerWithTaints"] =
            json!([{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]);
    }
    format!("{document:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_control_plane_node_is_tainted() {
        assert!(config(Ordinal::CONTROL_PLANE).contains("node-role.kubernetes.io/control-plane"));
        assert!(!config(Ordinal::worker(1).unwrap()).contains("Taints"));
    }

    #[test]
    fn the_file_is_what_the_kubelet_reads() {
        let parsed: serde_json::Value =
            serde_json::from_str(&config(Ordinal::CONTROL_PLANE)).unwrap();
        assert_eq!(parsed["kind"], "KubeletConfiguration");
        assert_eq!(parsed["failCgroupV1"], false);
        assert_eq!(parsed["clusterDNS"][0], "10.96.0.10");
    }
}
