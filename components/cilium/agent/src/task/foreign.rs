//! CNI configuration of other plugins on the node: said in the log and in an event, never passed over in silence.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cilium_cni::install::{Report, foreign_configurations};

use crate::agent::Agent;

const PERIOD: Duration = Duration::from_secs(30);
const REASON: &str = "ForeignCNIConfiguration";

/// `report` is what the installer left.
pub async fn run(agent: Arc<Agent>, conf_dir: PathBuf, report: PathBuf) {
    loop {
        if let Some(sentence) = installed(&report) {
            agent.report("cni-install", Some(sentence.clone()));
            if agent.announce(REASON, &sentence).await {
                // Told once; the installer writes it anew.
                let _ = std::fs::remove_file(&report);
            }
        }
        agent.report("cni-configuration", present(&conf_dir));
        tokio::time::sleep(PERIOD).await;
    }
}

fn installed(report: &Path) -> Option<String> {
    let bytes = std::fs::read(report).ok()?;
    serde_json::from_slice::<Report>(&bytes).ok()?.sentence()
}

fn present(folder: &Path) -> Option<String> {
    let names = foreign_configurations(folder).unwrap_or_default();
    (!names.is_empty()).then(|| {
        format!(
            "CNI configuration of another plugin appeared in /etc/cni/net.d: {}; remove it, or restart this node's cilium pod, which renames it",
            names.join(", ")
        )
    })
}
