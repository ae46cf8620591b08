//! What CNI the cluster has, read from what was observed.

use bytes::Bytes;
use gloo_relay::{
    key::{KeyError, ObjectKey},
    table::Source,
};
use serde_json::{Map, Value, json};

/// Settings of Cilium that say what a policy can rely on.
const SETTINGS: [&str; 9] = [
    "cluster-name",
    "enable-hubble",
    "enable-ipv4",
    "enable-ipv6",
    "enable-policy",
    "ipam",
    "kube-proxy-replacement",
    "routing-mode",
    "tunnel-protocol",
];

/// The key of the object that tells the server of the cluster.
pub fn key() -> Result<ObjectKey, KeyError> {
    ObjectKey::new("agent.gloonet.io/v1", "ClusterInfo", "", "cluster")
}

/// The object: agent version, and CNI with provider, version and settings. Without Cilium the provider is empty.
pub fn describe(observed: &Source, agent_version: &str) -> Result<Bytes, KeyError> {
    let read = |key: ObjectKey| {
        observed
            .get(&key)
            .and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok())
    };
    let config = read(ObjectKey::new(
        "v1",
        "ConfigMap",
        "kube-system",
        "cilium-config",
    )?);
    let agents = read(ObjectKey::new(
        "apps/v1",
        "DaemonSet",
        "kube-system",
        "cilium",
    )?);
    let settings: Map<_, _> = SETTINGS
        .iter()
        .filter_map(|name| {
            let value = config.as_ref()?["data"].get(name)?;
            Some(((*name).to_owned(), value.clone()))
        })
        .collect();
    let image = agents.as_ref().and_then(|agents| {
        let containers = agents["spec"]["template"]["spec"]["containers"].as_array()?;
        let agent = containers
            .iter()
            .find(|container| container["name"] == "cilium-agent");
        agent.or_else(|| containers.first())?["image"].as_str()
    });
    let provider = if config.is_some() || agents.is_some() {
        "cilium"
    } else {
        ""
    };
    let info = json!({
        "apiVersion": "agent.gloonet.io/v1",
        "kind": "ClusterInfo",
        "metadata": {"name": "cluster"},
        "agent": {"version": agent_version},
        "cni": {"provider": provider, "version": image.map(version).unwrap_or_default(), "config": settings},
    });
    Ok(Bytes::from(info.to_string()))
}

/// The tag of an image, without a digest.
fn version(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or_default();
    let name = image.rsplit('/').next().unwrap_or_default();
    name.split_once(':').map_or("", |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_tag() {
        assert_eq!(
            version("registry:5000/cilium/cilium:v1.18.2@sha256:ab"),
            "v1.18.2"
        );
        assert_eq!(version("registry:5000/cilium"), "");
    }

    #[test]
    fn a_cluster_with_cilium_names_it_and_its_settings() {
        let mut observed = Source::default();
        let key = ObjectKey::new("v1", "ConfigMap", "kube-system", "cilium-config").unwrap();
        observed.set(
            key,
            r#"{"data":{"routing-mode":"tunnel","other":"x"}}"#.into(),
        );
        let info: Value = serde_json::from_slice(&describe(&observed, "1").unwrap()).unwrap();
        assert_eq!(info["cni"]["provider"], "cilium");
        assert_eq!(info["cni"]["config"], json!({"routing-mode": "tunnel"}));
        let none: Value =
            serde_json::from_slice(&describe(&Source::default(), "1").unwrap()).unwrap();
        assert_eq!(none["cni"]["provider"], "");
    }
}
