//! Puts the operator and the GlooNetwork on a cluster, the way the README tells a user to.

use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use crate::lab::Lab;
use crate::{home, process};

const NAMESPACE: &str = "gloonet-system";

/// Tells the operator where the API server is (the lab has no kube-proxy, so the service address works only once Cilium
/// does), then applies `bundle/install.yaml`.
///
/// In this order: a pod reads the address when it starts and never again.
pub fn operator(lab: &Lab) -> Result<()> {
    let slice = lab.get(&["endpointslice", "kubernetes", "--namespace", "default"])?;
    let host = &slice["endpoints"][0]["addresses"][0];
    let host = host
        .as_str()
        .context("the API server published no address")?;
    let port = slice["ports"][0]["port"]
        .as_u64()
        .context("the API server published no port")?;
    let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "gloonet-api-server", "namespace": NAMESPACE},
            "data": {"host": host, "port": port.to_string()},
        },
    ]});
    text(lab, &objects.to_string(), "dev-address")?;
    apply(
        lab,
        &home::root()?.join("bundle/install.yaml").to_string_lossy(),
        "dev",
    )?;
    let crd = "customresourcedefinition/gloonetworks.gloonetwork.io";
    quiet(
        lab.kubectl()?
            .args(["wait", "--for=condition=Established", "--timeout=30s", crd]),
    )
}

/// Applies the lab's GlooNetwork.
pub fn gloonetwork(lab: &Lab) -> Result<()> {
    apply(
        lab,
        &home::root()?.join("lab/gloonetwork.yaml").to_string_lossy(),
        "dev",
    )
}

/// Server-side, so that applying twice changes nothing. The namespace is in two sets of objects, so each set has a manager of
/// its own: with one, the second set would take away what only the first one names.
fn apply(lab: &Lab, file: &str, manager: &str) -> Result<()> {
    let manager = format!("--field-manager={manager}");
    quiet(lab.kubectl()?.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        &manager,
        "-f",
        file,
    ]))
}

/// Applies objects that are in no file.
pub fn text(lab: &Lab, text: &str, manager: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
    std::fs::write(file.path(), text).context("write a temporary file")?;
    apply(lab, &file.path().to_string_lossy(), manager)
}

fn quiet(command: &mut Command) -> Result<()> {
    process::output(command).map(drop)
}
