//! Every rendered object, server-side dry-run against a real API server with strict field validation.
//!
//! Needs the lab: `cargo test -p gloonet-catalog --test dry_run -- --ignored` with `KUBECONFIG` set, or the default lab running.

#![expect(
    clippy::unwrap_used,
    reason = "a test program: a failure shall end it with its reason"
)]

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::{ClusterFacts, ImageResolver, ReleaseLock, catalog, operator, validate};

const DEFAULT_LAB: &str = "/var/lib/gloonet-lab/default/admin.kubeconfig";

fn kubectl(arguments: &[&str], objects: &[serde_json::Value]) -> Result<String, String> {
    let home = std::env::var_os("GLOONET_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/gloonet")))
        .unwrap();
    let config = std::env::var_os("KUBECONFIG").unwrap_or_else(|| DEFAULT_LAB.into());
    let mut child = Command::new(home.join("bin/kubectl"))
        .env("KUBECONFIG", config)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
    child
        .stdin
        .take()
        .unwrap()
        .write_all(list.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(said)
    }
}

fn rendered() -> Vec<serde_json::Value> {
    let facts = ClusterFacts {
        api_server: Some(("172.30.0.10".to_owned(), 6443)),
        ..ClusterFacts::default()
    };
    let input = validate(&GlooNetworkSpec::named("dry-run"), &facts).unwrap();
    let lock = ReleaseLock::embedded().unwrap();
    let images = ImageResolver::new(
        &lock,
        "",
        &std::collections::BTreeMap::new(),
        "IfNotPresent",
        &[],
    )
    .unwrap();
    let mut objects = operator::install_objects(&lock, &images).unwrap();
    for component in catalog() {
        objects.extend(component.objects(&input).unwrap());
    }
    objects
        .iter()
        .map(|object| serde_json::to_value(object).unwrap())
        .collect()
}

/// A dry run cannot place an object into a namespace that does not exist, so those that are missing are made and taken away again.
struct Namespaces(Vec<&'static str>);

impl Namespaces {
    fn missing_ones() -> Self {
        let made = ["gloonet-system", "gloo-mesh"]
            .into_iter()
            .filter(|name| kubectl(&["create", "namespace", name], &[]).is_ok());
        Self(made.collect())
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = kubectl(&["delete", "namespace", name, "--wait=false"], &[]);
        }
    }
}

#[test]
#[ignore = "needs the lab's API server"]
fn the_api_server_accepts_every_rendered_object() {
    let _namespaces = Namespaces::missing_ones();
    let arguments = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--force-conflicts",
        "--field-manager=dry-run",
        "-f",
        "-",
    ];
    let objects = rendered();
    let mut refused = Vec::new();
    let batch = kubectl(&arguments, &objects);
    if let Err(said) = batch {
        refused.push(said);
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
#[ignore = "needs the lab's API server"]
fn a_misspelt_field_would_be_refused() {
    let mut objects = rendered();
    let service = objects
        .iter_mut()
        .find(|object| object["kind"] == "Service")
        .unwrap();
    service["metadata"]["namespace"] = serde_json::json!("default");
    service["spec"]["selektor"] = serde_json::json!({});
    let one = vec![service.clone()];
    let arguments = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--field-manager=dry-run",
        "-f",
        "-",
    ];
    let refusal = kubectl(&arguments, &one).unwrap_err();
    assert!(refusal.contains("selektor"), "{refusal}");
}

/// The generated rights under another name, in force for the time of one test.
struct TrialRights(Vec<serde_json::Value>);

const TRIAL: &str = "gloonet-dry-run";

impl TrialRights {
    fn in_force() -> Self {
        let rights: Vec<serde_json::Value> = rendered()
            .into_iter()
            .filter(|object| object["metadata"]["name"] == "gloonet-operator")
            .filter(|object| object["kind"].as_str().unwrap().contains("Role"))
            .map(|mut object| {
                object["metadata"]["name"] = serde_json::json!(TRIAL);
                if object["kind"].as_str().unwrap().ends_with("Binding") {
                    object["roleRef"]["name"] = serde_json::json!(TRIAL);
                    object["subjects"][0]["name"] = serde_json::json!(TRIAL);
                }
                object
            })
            .collect();
        assert!(rights.len() > 6, "{rights:?}");
        kubectl(
            &["apply", "--server-side", "--force-conflicts", "-f", "-"],
            &rights,
        )
        .unwrap();
        Self(rights)
    }
}

impl Drop for TrialRights {
    fn drop(&mut self) {
        let _ = kubectl(&["delete", "--wait=false", "-f", "-"], &self.0);
    }
}

/// Authorization and the refusal to grant more than one holds are part of a dry run, so this is what the operator would meet.
#[test]
#[ignore = "needs the lab's API server"]
fn the_generated_rights_suffice_to_write_every_operand() {
    let _namespaces = Namespaces::missing_ones();
    let _rights = TrialRights::in_force();
    let account = format!("--as=system:serviceaccount:gloonet-system:{TRIAL}");
    let arguments = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--force-conflicts",
        "--field-manager=dry-run",
        &account,
        "--as-group=system:authenticated",
        "-f",
        "-",
    ];
    let operands: Vec<serde_json::Value> = rendered()
        .into_iter()
        .filter(|object| object["metadata"]["labels"]["gloonetwork.io/component"] != "operator")
        .collect();
    assert!(operands.len() > 40);
    kubectl(&arguments, &operands).unwrap_or_else(|said| panic!("{said}"));
    let foreign = serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "default"}});
    let refusal = kubectl(&arguments, &[foreign]).unwrap_err();
    assert!(refusal.contains("forbidden"), "{refusal}");
}
