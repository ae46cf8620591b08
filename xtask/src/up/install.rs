//! Puts the operator and the GlooNetwork on a cluster, the way the README tells a user to.

use std::process::Command;

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::{home, process};

const NAMESPACE: &str = "gloonet-system";

/// Applies `bundle/install.yaml` and tells the operator where the API server is: the lab has no kube-proxy, so the service
/// address works only once Cilium does.
pub fn operator(lab: &Lab) -> Result<()> {
    let slice = lab.get(&["endpointslice", "kubernetes", "--namespace", "default"])?;
    let host = slice["endpoints"][0]["addresses"][0]
        .as_str()
        .context("the API server published no address")?;
    let port = slice["ports"][0]["port"]
        .as_u64()
        .context("the API server published no port")?;
    let root = home::root()?;
    apply(lab, &root.join("bundle/install.yaml").to_string_lossy())?;
    let literals = [
        format!("--from-literal=host={host}"),
        format!("--from-literal=port={port}"),
    ];
    let mut create = lab.kubectl()?;
    create.args([
        "create",
        "configmap",
        "gloonet-api-server",
        "--namespace",
        NAMESPACE,
        "--dry-run=client",
        "-o",
        "yaml",
    ]);
    let config = process::output(create.args(literals))?;
    apply_text(lab, &config)?;
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
    )
}

/// Server-side, so that applying twice changes nothing and says so.
fn apply(lab: &Lab, file: &str) -> Result<()> {
    quiet(lab.kubectl()?.args([
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=dev",
        "-f",
        file,
    ]))
}

fn apply_text(lab: &Lab, text: &str) -> Result<()> {
    let file = tempfile::NamedTempFile::new().context("make a temporary file")?;
    std::fs::write(file.path(), text).context("write a temporary file")?;
    apply(lab, &file.path().to_string_lossy())
}

fn quiet(command: &mut Command) -> Result<()> {
    process::output(command).map(drop)
}
