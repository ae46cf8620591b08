//! What validation is told where the cluster is not asked.

use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::{ClusterFacts, LockError, ReleaseLock};

/// What the specification names is taken as there; overlaps with nodes and services cannot be seen. `api_server` is host and port
/// where the specification has none.
pub(crate) fn facts(
    spec: &GlooNetworkSpec,
    api_server: (String, u16),
) -> Result<ClusterFacts, LockError> {
    Ok(ClusterFacts {
        operator_version: ReleaseLock::embedded()?.version,
        api_server: Some(api_server),
        ..ClusterFacts::supposed(spec)
    })
}
