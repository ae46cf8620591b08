//! Flows of the node: files that agents write and collectors read.

use cilium_api::names::{HUBBLE_EXPORT_DIR, HUBBLE_EXPORT_FILE};
use serde_json::{Value, json};

use crate::gateway::objects::UID;

/// The collectors' own group, which agents give the files.
pub(crate) const READERS: u32 = UID;
/// As redis-sink knows them.
const SOURCE: &str = "cilium_flows";

/// Where they are and what they are, for the template.
pub(super) fn files() -> Value {
    let files = HUBBLE_EXPORT_FILE.replace(".log", "*.log");
    json!({"folder": HUBBLE_EXPORT_DIR, "files": files, "source": SOURCE})
}

/// The folder, for reading. The kubelet makes it where the collector is there before the agent.
pub(super) fn mount(pod: &mut Value) {
    let mount = json!({"name": "flows", "mountPath": HUBBLE_EXPORT_DIR, "readOnly": true});
    let folder = json!({"path": HUBBLE_EXPORT_DIR, "type": "DirectoryOrCreate"});
    for (list, item) in [
        ("/containers/0/volumeMounts", mount),
        ("/volumes", json!({"name": "flows", "hostPath": folder})),
    ] {
        if let Some(Value::Array(list)) = pod.pointer_mut(list) {
            list.push(item);
        }
    }
}
