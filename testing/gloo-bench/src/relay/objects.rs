//! A cluster's objects as an agent sends them: stripped, of the sizes real ones have.

use anyhow::Result;
use bytes::Bytes;
use gloo_relay::{key::ObjectKey, table::Source};
use serde_json::{Value, json};

/// Services of the shared workspace in each cluster; the others belong to nobody.
const SHOP: usize = 10;
/// Namespaces the others are in.
const NAMESPACES: usize = 50;

fn put(
    source: &mut Source,
    api: &str,
    kind: &str,
    namespace: &str,
    name: &str,
    rest: Value,
) -> Result<()> {
    let mut object = json!({
        "apiVersion": api, "kind": kind,
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("8c6d51f0-2f3a-4d0e-9c0b-{:012x}", source.len()),
            "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": name, "team": namespace},
        },
    });
    if let (Some(object), Value::Object(rest)) = (object.as_object_mut(), rest) {
        object.extend(rest);
    }
    let namespace = if kind == "Namespace" { "" } else { namespace };
    source.set(
        ObjectKey::new(api, kind, namespace, name)?,
        Bytes::from(object.to_string()),
    );
    Ok(())
}

fn service(source: &mut Source, namespace: &str, name: &str) -> Result<()> {
    let spec = json!({"spec": {
        "selector": {"app": name}, "type": "ClusterIP", "clusterIP": "10.96.17.5",
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
    }});
    put(source, "v1", "Service", namespace, name, spec)
}

/// Everything of one cluster. The first one is the management cluster.
pub(crate) fn cluster(number: usize, services: usize, pods: usize) -> Result<Source> {
    let mut source = Source::default();
    put(&mut source, "v1", "Namespace", "shop", "shop", json!({}))?;
    for at in 0..SHOP.min(services) {
        service(&mut source, "shop", &format!("shop-{at}"))?;
    }
    put(
        &mut source,
        "v1",
        "ServiceAccount",
        "shop",
        "default",
        json!({}),
    )?;
    for at in 0..NAMESPACES {
        let name = format!("team-{at}");
        put(&mut source, "v1", "Namespace", &name, &name, json!({}))?;
    }
    for at in SHOP..services {
        service(
            &mut source,
            &format!("team-{}", at % NAMESPACES),
            &format!("service-{at}"),
        )?;
    }
    for at in 0..pods {
        let rest = json!({
            "spec": {"serviceAccountName": "default", "nodeName": format!("node-{}", at % 200)},
            "status": {"phase": "Running", "podIP": format!("10.{}.{}.{}", number % 250, at / 250, at % 250)},
        });
        let name = format!("service-{}-7d4b9c6f5d-{at:05}", at % services.max(1));
        put(
            &mut source,
            "v1",
            "Pod",
            &format!("team-{}", at % NAMESPACES),
            &name,
            rest,
        )?;
    }
    if number == 0 {
        resources(&mut source)?;
    }
    Ok(source)
}

/// One workspace over the shop of every cluster, isolated.
fn resources(source: &mut Source) -> Result<()> {
    let api = "admin.gloo.solo.io/v2";
    let selects =
        json!({"spec": {"workloadClusters": [{"name": "*", "namespaces": [{"name": "shop"}]}]}});
    put(source, api, "Workspace", "gloo-mesh", "shop", selects)?;
    let isolates = json!({"spec": {"options": {"serviceIsolation": {"enabled": true}}}});
    put(source, api, "WorkspaceSettings", "shop", "shop", isolates)
}

/// A new account of the shop: every cluster's policies let it in.
pub(crate) fn account(source: &mut Source, name: &str) -> Result<()> {
    put(source, "v1", "ServiceAccount", "shop", name, json!({}))
}
