//! A tag that got another image does not restart its pods; this does, so that an edited agent is the one that runs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde_json::Value;

use crate::image::index::{Index, Row};
use crate::lab::Lab;
use crate::{home, process};

/// Namespace → names.
pub type Pods = BTreeMap<String, BTreeSet<String>>;

/// Pods that run another image than the one that is about to be loaded under the same name. To be asked before: once the old one is gone
/// from a node, its kubelet says of them that they run the new one.
pub fn outdated_pods(lab: &Lab) -> Result<Pods> {
    let index = Index::read(&home::cache_folder("images")?)?;
    let pods = lab.get(&["pods", "--all-namespaces"])?;
    Ok(outdated(&pods, index.rows()))
}

/// Deletes pods; their owners make new ones.
pub fn restart(lab: &Lab, pods: &Pods) -> Result<()> {
    for (namespace, names) in pods {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        eprintln!(
            "… restarting pods in {namespace} whose image changed: {}",
            names.join(", ")
        );
        let mut command = lab.kubectl()?;
        // Some may have gone by themselves while the images were loaded.
        let delete = ["delete", "pod", "--wait=false", "--ignore-not-found"];
        command
            .args(delete)
            .args(["--namespace", namespace])
            .args(names);
        process::output(&mut command)?;
    }
    Ok(())
}

/// Namespace → pods with a container whose image is not the one in the index.
fn outdated(pods: &Value, rows: &[Row]) -> Pods {
    let mut found = Pods::new();
    for pod in pods["items"].as_array().into_iter().flatten() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let kinds = ["containerStatuses", "initContainerStatuses"];
        let statuses = kinds
            .iter()
            .flat_map(|kind| pod["status"][kind].as_array().into_iter().flatten());
        if statuses.filter(|status| is_outdated(status, rows)).count() > 0 {
            found
                .entry(text(&pod["metadata"]["namespace"]))
                .or_default()
                .insert(text(&pod["metadata"]["name"]));
        }
    }
    found
}

fn is_outdated(status: &Value, rows: &[Row]) -> bool {
    let (Some(image), Some(id)) = (status["image"].as_str(), status["imageID"].as_str()) else {
        return false;
    };
    // A container that never started has no identity yet.
    !id.is_empty()
        && rows.iter().any(|row| {
            row.names.iter().any(|name| name == image)
                && !id.contains(&row.digest)
                && !id.contains(&row.config)
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, image: &str, id: &str) -> Value {
        json!({"metadata": {"namespace": "a", "name": name}, "status": {"containerStatuses": [{"image": image, "imageID": id}]}})
    }

    #[test]
    fn only_pods_of_the_changed_image_are_restarted() {
        let row = Row {
            name: "agent".into(),
            reference: "ghcr.io/x/agent:1".into(),
            names: vec!["lab/x/agent:1".into()],
            file: "agent.tar".into(),
            digest: "sha256:aa".into(),
            config: "sha256:bb".into(),
            inputs: String::new(),
        };
        let pods = json!({"items": [
            pod("current", "lab/x/agent:1", "sha256:bb"),
            pod("also-current", "lab/x/agent:1", "lab/x/agent@sha256:aa"),
            pod("old", "lab/x/agent:1", "sha256:cc"),
            pod("other", "lab/x/redis:7", "sha256:cc"),
            pod("not-started", "lab/x/agent:1", ""),
        ]});
        assert_eq!(
            outdated(&pods, &[row]),
            BTreeMap::from([("a".to_owned(), BTreeSet::from(["old".to_owned()]))])
        );
    }
}
