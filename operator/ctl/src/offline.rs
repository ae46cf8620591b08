//! What validation is told where the cluster is not asked.

use std::collections::{BTreeMap, BTreeSet};

use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::{ClusterFacts, LockError, ReleaseLock, SecretFacts};

/// Secrets and StorageClasses the specification names are taken as there, with the keys that are needed; overlaps with
/// nodes and services cannot be seen. `api_server` is host and port where the specification has none.
pub(crate) fn facts(
    spec: &GlooNetworkSpec,
    api_server: (String, u16),
) -> Result<ClusterFacts, LockError> {
    Ok(ClusterFacts {
        operator_version: ReleaseLock::embedded()?.version,
        api_server: Some(api_server),
        secrets: named_secrets(spec),
        storage_classes: named_storage_classes(spec),
        has_default_storage_class: true,
        ..ClusterFacts::default()
    })
}

fn named_secrets(spec: &GlooNetworkSpec) -> BTreeMap<String, SecretFacts> {
    let external = spec.redis.external.iter();
    let names = external.flat_map(|redis| {
        [
            redis.credentials_secret.clone(),
            redis.tls.ca_secret.clone(),
        ]
    });
    let keys = ["username", "password", "ca.crt"].map(str::to_owned);
    names
        .flatten()
        .map(|name| {
            (
                name,
                SecretFacts {
                    keys: keys.clone().into(),
                },
            )
        })
        .collect()
}

fn named_storage_classes(spec: &GlooNetworkSpec) -> BTreeSet<String> {
    let blocks = [
        &spec.redis.managed.persistence,
        &spec.prometheus.managed.storage,
    ];
    blocks
        .into_iter()
        .filter_map(|block| block.storage_class.clone())
        .collect()
}
