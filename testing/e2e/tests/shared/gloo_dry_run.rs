//! A dry run enforces nothing and says which observed traffic it would deny.

use std::time::Duration;

use anyhow::{Context, Result};
use gloonet_e2e::{
    Scene, platform,
    pods::{AGNHOST, HTTP, Playground},
    wait::{Progress, until},
};

/// Prometheus looks twice, and the server asks once a minute while there is a dry run.
const SEEN: Duration = Duration::from_mins(4);

/// A Deployment of one pod, and its account.
fn deployment(playground: &Playground<'_>, name: &str, arguments: &str) -> String {
    let namespace = &playground.namespace;
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{{name: main, image: {AGNHOST}, imagePullPolicy: IfNotPresent, {arguments}}}]
---
"
    )
}

fn resources(shop: &str) -> String {
    format!(
        "apiVersion: admin.gloo.solo.io/v2
kind: Workspace
metadata: {{name: e2e-dry-run, namespace: gloo-mesh}}
spec: {{workloadClusters: [{{name: '*', namespaces: [{{name: {shop}}}]}}]}}
---
apiVersion: admin.gloo.solo.io/v2
kind: WorkspaceSettings
metadata: {{name: dry, namespace: {shop}}}
spec: {{options: {{serviceIsolation: {{enabled: true, dryRun: true}}}}}}
"
    )
}

/// What the settings' status lists, once `wanted` is in it.
async fn denied(scene: &Scene, namespace: &str, wanted: &str) -> Result<String> {
    let path = "jsonpath={.status.wouldDeny}";
    let arguments = [
        "get",
        "workspacesettings",
        "dry",
        "--namespace",
        namespace,
        "--output",
        path,
    ];
    until(&format!("the dry run lists {wanted}"), SEEN, async || {
        let list = scene.kubectl(&arguments)?;
        Ok(Progress::of(
            list.contains(wanted).then(|| list.clone()),
            list,
        ))
    })
    .await
}

#[tokio::test]
async fn a_dry_run_lists_what_it_would_deny_of_the_traffic_there_is() -> Result<()> {
    let scene = Scene::open().await?;
    platform::settled(&scene, platform::HEALED).await?;
    let shop = Playground::start(&scene, "dry-shop").await?;
    let street = Playground::start(&scene, "dry-street").await?;
    let web = format!("args: [netexec, '--http-port={HTTP}']");
    scene.apply(&deployment(&shop, "web", &web))?;
    let address = shop.service("web").await?;
    let asks = format!("while true; do /agnhost connect {address}:80 --timeout=1s; sleep 1; done");
    let asks = format!("command: [sh, -c, '{asks}']");
    for (playground, name) in [(&shop, "clerk"), (&street, "passerby")] {
        scene.apply(&deployment(playground, name, &asks))?;
    }
    scene.apply(&resources(&shop.namespace))?;
    let (inside, outside) = (&shop.namespace, &street.namespace);
    let wanted = format!(
        "1 of others' workloads, whom this workspace shares nothing with, to lab/{inside}/web: "
    );
    let list = denied(&scene, inside, &wanted).await?;
    assert!(
        !list.contains("clerk"),
        "the workspace itself is let in: {list}"
    );
    // Security test 39: who is no business of the workspace's is counted.
    assert!(!list.contains(outside), "{list}");
    let policies = [
        "get",
        "ciliumnetworkpolicies",
        "--namespace",
        inside,
        "--output",
        "name",
    ];
    assert_eq!(scene.kubectl(&policies)?, "", "nothing is enforced");
    let gone = [
        "delete",
        "workspace",
        "e2e-dry-run",
        "--namespace",
        "gloo-mesh",
    ];
    scene.kubectl(&gone).context("take the workspace away")?;
    shop.end().await?;
    street.end().await
}
