//! `/node` on the health port: what the node is like, for whoever looks after many of them. Nothing about pods, nothing secret.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use cilium_cni::install::configurations;
use serde::Serialize;

use crate::agent::blocking;
use crate::health::Phase;

/// Settings below `/proc/sys/net` that decide whether packets of pods arrive.
const SYSCTLS: [&str; 3] = [
    "ipv4.ip_forward",
    "ipv4.conf.all.rp_filter",
    "ipv4.conf.default.rp_filter",
];

/// What does not change while the agent runs, and where to look for what does.
#[derive(Clone, Debug)]
pub struct Place {
    /// Of the configuration the agent started with.
    pub config_digest: String,
    pub conf_dir: PathBuf,
    pub cgroup_root: PathBuf,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// SHA-256 over the keys and values of cilium-config, each followed by a zero byte, in the order of the keys; in hexadecimal.
    pub config_digest: String,
    /// Files of `/etc/cni/net.d` that a runtime reads, in its order.
    pub cni_files: Vec<String>,
    /// Of the device to the outside, in bytes; 0 while the datapath is not loaded.
    pub device_mtu: u32,
    /// Of the pods' devices, in bytes; 0 while the datapath is not loaded.
    pub pod_mtu: u32,
    /// The node's clock, in milliseconds since 1970.
    pub clock_ms: u64,
    pub sysctls: BTreeMap<&'static str, String>,
    /// The kernel has type information of itself.
    pub btf: bool,
    /// There is a cgroup v2 hierarchy.
    pub cgroup2: bool,
}

/// Looks at this moment.
pub async fn look(place: Place, phase: Phase) -> Option<Facts> {
    blocking(move || {
        let sizes = match phase {
            Phase::Starting(_) => (0, 0),
            Phase::Serving(agent) => (agent.datapath.device_mtu(), agent.datapath.pod_mtu()),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Facts {
            cni_files: configurations(&place.conf_dir).unwrap_or_default(),
            config_digest: place.config_digest,
            device_mtu: sizes.0,
            pod_mtu: sizes.1,
            clock_ms: now.map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }),
            sysctls: SYSCTLS
                .into_iter()
                .filter_map(|name| Some((name, setting(name)?)))
                .collect(),
            btf: std::fs::exists("/sys/kernel/btf/vmlinux").unwrap_or_default(),
            cgroup2: place.cgroup_root.join("cgroup.controllers").exists(),
        }
    })
    .await
}

/// The node's own, not a pod's: the agent is in the node's network.
fn setting(name: &str) -> Option<String> {
    let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_node_is_described_also_before_the_datapath_is_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("05-cilium.conflist"), "{}").unwrap();
        std::fs::write(folder.path().join("00-other.conf"), "{}").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "").unwrap();
        let place = Place {
            config_digest: "d".to_owned(),
            conf_dir: folder.path().to_owned(),
            cgroup_root: folder.path().to_owned(),
        };
        let facts = look(place, Phase::Starting("waits".to_owned()))
            .await
            .unwrap();
        assert_eq!(facts.cni_files, ["00-other.conf", "05-cilium.conflist"]);
        assert_eq!((facts.device_mtu, facts.cgroup2), (0, false));
        assert!(facts.clock_ms > 1_700_000_000_000);
        assert!(facts.sysctls.contains_key("ipv4.ip_forward"));
    }
}
