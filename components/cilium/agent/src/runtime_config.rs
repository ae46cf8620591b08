//! `agent-runtime-config.json` in the state folder: Cilium's agent writes all its settings there, and cilium-cli chooses by some
//! of them what it tests. Only those are said here; nothing of ours reads the file.

use serde_json::{Value, json};

/// The same on every node and for the life of a process.
pub fn runtime_config(health_checking: bool) -> Value {
    json!({
        // One event per connection and direction: Cilium's greatest aggregation.
        "MonitorAggregation": "maximum",
        "EnableICMPRules": true,
        "EnableK8sNetworkPolicy": true,
        "EnableK8sClusterNetworkPolicy": false,
        // With both, cilium-cli asks for the state of all paths. There is no endpoint for it: the path of that name leads to the
        // router's address, over the same network.
        "EnableHealthChecking": health_checking,
        "EnableEndpointHealthChecking": health_checking,
        "EncryptNode": false,
        "NodeEncryptionOptOutLabelsString": "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn cilium_cli_finds_the_file_and_every_setting_it_looks_for() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write_runtime_config(&runtime_config(true)).unwrap();
        let text = std::fs::read(folder.path().join("agent-runtime-config.json")).unwrap();
        let written: Value = serde_json::from_slice(&text).unwrap();
        for switch in [
            "EnableICMPRules",
            "EnableK8sNetworkPolicy",
            "EnableK8sClusterNetworkPolicy",
            "EnableHealthChecking",
            "EnableEndpointHealthChecking",
            "EncryptNode",
        ] {
            assert!(written[switch].is_boolean(), "{switch}");
        }
        for switch in ["EnableHealthChecking", "EnableEndpointHealthChecking"] {
            assert_eq!(written[switch], true);
            assert_eq!(runtime_config(false)[switch], false);
        }
        assert!(written["MonitorAggregation"].is_string());
        assert!(written["NodeEncryptionOptOutLabelsString"].is_string());
    }
}
