//! Single objects: away, back, or never there.

use std::{fmt::Debug, time::Duration};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::wait::{Progress, until};

/// Time in which a deleted object is really gone, finalizers and pods' grace included.
const GONE: Duration = Duration::from_mins(1);

/// Takes "not found" for an answer.
pub fn ignore_missing<T>(answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        other => other.map(drop),
    }
}

/// Whether a pod is ready, and stays.
pub fn is_ready(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut conditions = conditions.into_iter().flatten();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|one| one.type_ == "Ready" && one.status == "True")
}

/// The kind CiliumNetworkPolicy, whose plural does not follow from its name.
pub fn cilium_policy() -> ApiResource {
    let kind = GroupVersionKind::gvk("cilium.io", "v2", "CiliumNetworkPolicy");
    ApiResource::from_gvk_with_plural(&kind, "ciliumnetworkpolicies")
}

/// Deletes without grace and waits until the very object is gone.
pub async fn delete_now<K>(api: &Api<K>, object: &K) -> Result<()>
where
    K: Resource + Clone + DeserializeOwned + Debug,
    K::DynamicType: Default,
{
    let (name, uid) = (object.name_any(), object.uid());
    ignore_missing(
        api.delete(&name, &DeleteParams::default().grace_period(0))
            .await,
    )?;
    until(&format!("{name} is gone"), GONE, async || {
        let now = api.get_opt(&name).await?;
        Ok(Progress::when(
            now.and_then(|o| o.uid()) != uid,
            "it is still there",
        ))
    })
    .await
}

/// A pod of `account` on `node` that does nothing; it need not even start.
pub async fn short_lived_pod(pods: &Api<Pod>, account: &str, node: &str) -> Result<Pod> {
    let pod = serde_json::from_value(json!({
        "metadata": {"generateName": "short-lived-"},
        "spec": {
            "serviceAccountName": account, "nodeName": node, "hostNetwork": true,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "pause", "image": crate::pods::AGNHOST, "args": ["pause"]}],
        },
    }))?;
    pods.create(&PostParams::default(), &pod)
        .await
        .context("make a pod")
}
