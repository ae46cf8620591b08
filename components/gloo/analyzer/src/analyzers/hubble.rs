//! Hubble: configuration, relay, UI, and Services that lead to them.

use std::sync::Arc;

use gloo_record::{Counts, Hubble, hubble};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service};
use kube::ResourceExt;

use crate::{
    pods,
    reader::{AnalyzeError, Reader},
};

pub(super) async fn run(reader: &Reader) -> Result<Hubble, AnalyzeError> {
    let deployments = reader.world.deployments.all()?;
    let services = services(&reader.world.services.all()?);
    let config = reader.cilium_config().await?;
    let data = config.and_then(|map| map.data).unwrap_or_default();
    let value = |key: &str| data.get(key).filter(|value| !value.is_empty()).cloned();
    Ok(Hubble {
        enabled: value("enable-hubble").as_deref() == Some("true"),
        listen_address: value("hubble-listen-address"),
        tls_disabled: value("hubble-disable-tls").as_deref() == Some("true"),
        relay: counts(&deployments, "hubble-relay"),
        ui: counts(&deployments, "hubble-ui"),
        services,
    })
}

fn counts(all: &[Arc<Deployment>], name: &str) -> Option<Counts> {
    let found = all.iter().find(|one| one.name_any() == name);
    found.map(|one| pods::of_deployment(one))
}

/// Of what Hubble installs; others may be called as they like.
fn services(all: &[Arc<Service>]) -> Vec<hubble::Service> {
    let own = all.iter().filter(|one| {
        let name = one.name_any();
        name.starts_with("hubble-") && one.namespace().as_deref() == Some("kube-system")
    });
    own.map(|one| hubble::Service {
        namespace: one.namespace().unwrap_or_default(),
        name: one.name_any(),
        kind: one
            .spec
            .as_ref()
            .and_then(|spec| spec.type_.clone())
            .unwrap_or_else(|| "ClusterIP".to_owned()),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn services_of_hubble_are_told_with_their_type() {
        let service = |name: &str, kind: &str| -> Arc<Service> {
            let service = json!({"metadata": {"name": name, "namespace": "kube-system"}, "spec": {"type": kind}});
            Arc::new(serde_json::from_value(service).unwrap())
        };
        let found = services(&[
            service("hubble-ui", "NodePort"),
            service("kube-dns", "ClusterIP"),
        ]);
        assert_eq!((found.len(), found[0].kind.as_str()), (1, "NodePort"));
    }
}
