//! What a registration consists of, as values.

use gloo_api::{
    ClusterName, KubernetesCluster,
    names::{NAMESPACE, ROOT, TOKEN},
};
use gloonet_cluster::{Enrolment, enrolment};
use k8s_openapi::ByteString;
use kube::{Resource, api::DynamicObject};
use serde_json::{Value, json};

/// The cluster's name in the management cluster.
pub(super) fn kubernetes_cluster(name: &ClusterName) -> Value {
    json!({
        "apiVersion": KubernetesCluster::api_version(&()),
        "kind": "KubernetesCluster",
        "metadata": {"name": name.as_str(), "namespace": NAMESPACE},
        "spec": {"clusterDomain": "cluster.local"},
    })
}

/// For the workload cluster, in the order they are applied.
pub(super) fn all(root: &str, made: &Enrolment) -> Result<Vec<DynamicObject>, serde_json::Error> {
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}),
        secret(ROOT, json!({}), ("ca.crt", root)),
    ];
    let objects = objects.into_iter().map(serde_json::from_value);
    objects.chain([token(made)]).collect()
}

/// The token alone: all that an agent needs that knows its server.
pub(crate) fn token(made: &Enrolment) -> Result<DynamicObject, serde_json::Error> {
    let expires = json!({"annotations": {enrolment::EXPIRES: made.expires.to_string()}});
    serde_json::from_value(secret(TOKEN, expires, ("token", &made.token)))
}

fn secret(name: &str, metadata: Value, (key, value): (&str, &str)) -> Value {
    let data = json!({key: ByteString(value.as_bytes().to_vec())});
    let mut secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data});
    secret["metadata"]["name"] = json!(name);
    secret["metadata"]["namespace"] = json!(NAMESPACE);
    secret
}

/// What is left to do, and until when.
pub(super) fn next(name: &ClusterName, server: &str, made: &Enrolment) -> String {
    let expires = made.expires.strftime("%Y-%m-%d %H:%M:%S UTC");
    format!(
        "cluster {name} is registered; its token works once, until {expires}
next: install the operator there and apply a GlooNetwork with
  spec:
    clusterName: {name}
    role: Workload
    telemetry: {{collectors: {{gatewayAddress: \"<gateway>:4320\"}}}}
    gloo: {{agent: {{managementAddress: \"{server}\"}}}}
where <gateway> is the address of the telemetry gateway here; without one, set telemetry.collectors.state: Removed instead
then see gloonet clusters here
"
    )
}
