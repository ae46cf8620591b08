//! `install.yaml`: everything for `kubectl apply --server-side -f`, on a cluster that need not have a pod network yet.

use anyhow::Result;

use super::source::{Source, kind};
use super::yaml;

const COMMENT: &str = "\
# For any cluster, with or without a pod network:  kubectl apply --server-side -f install.yaml
# Where nothing serves ClusterIPs yet (no kube-proxy), tell the operator where the API server is:
#   kubectl -n gloonet-system create configmap gloonet-api-server --from-literal=host=ADDRESS --from-literal=port=6443
# and then create a GlooNetwork named default.
";

/// The namespace first, then the definitions, then the operator.
pub(super) fn render(source: &Source) -> Result<String> {
    let (namespaces, others): (Vec<_>, Vec<_>) = source
        .objects
        .iter()
        .cloned()
        .partition(|object| kind(object) == "Namespace");
    let objects = [namespaces, source.crds.clone(), others].concat();
    yaml::documents(&objects, COMMENT)
}
