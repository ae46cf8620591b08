//! Test 27 of the security reference: whatever the management server says, the Gloo agent writes policies of its own only,
//! and none where the platform itself lives.

use anyhow::Result;
use gloo_api::{labels, names};
use gloonet_api::{GlooNetwork, SINGLETON};
use gloonet_e2e::{Scene, objects, tokens};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

const SCRATCH: &str = "default";
const NAME: &str = "gloo-admission-test";

/// Policies in one namespace, as one of the two sees them.
fn policies(client: &Client, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &objects::cilium_policy())
}

fn policy(namespace: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": NAME, "namespace": namespace, "labels": labels},
        // Selects nobody.
        "spec": {"endpointSelector": {"matchLabels": {"gloo-admission-test": "nobody"}}, "ingress": [{}]},
    })
}

async fn write(client: &Client, namespace: &str, labels: &Value) -> kube::Result<DynamicObject> {
    let manager = PatchParams::apply(names::AGENT).force();
    policies(client, namespace)
        .patch(NAME, &manager, &Patch::Apply(policy(namespace, labels)))
        .await
}

/// The sentence of a refusal with status 403.
fn refusal<T: std::fmt::Debug>(answer: kube::Result<T>) -> String {
    match answer.unwrap_err() {
        kube::Error::Api(status) if status.code == 403 => status.message.clone(),
        other => panic!("no refusal: {other}"),
    }
}

async fn forget(scene: &Scene) -> Result<()> {
    let all = policies(&scene.client, SCRATCH);
    objects::ignore_missing(all.delete(NAME, &DeleteParams::default()).await)?;
    Ok(())
}

#[tokio::test]
async fn the_gloo_agent_writes_only_labelled_policies_of_its_cluster_outside_protected_namespaces()
-> Result<()> {
    let scene = Scene::open().await?;
    let token = tokens::token(&scene.client, names::NAMESPACE, names::AGENT, None).await?;
    let agent = scene.client_with_token(token).await?;
    let platform = Api::<GlooNetwork>::all(scene.client.clone())
        .get(SINGLETON)
        .await?;
    let of = |cluster: &str| {
        json!({
            labels::AGENT: labels::GLOO_MESH,
            labels::OWNER: labels::GLOO_MESH,
            labels::RECONCILER: labels::TRANSLATOR,
            labels::RELAY_CLUSTER: cluster,
        })
    };
    let ours = of(&platform.spec.cluster_name);
    forget(&scene).await?;
    for labels in [json!({}), of("another")] {
        let said = refusal(write(&agent, SCRATCH, &labels).await);
        assert!(said.contains("lacks the labels"), "{said}");
    }
    for namespace in names::PROTECTED_NAMESPACES {
        let said = refusal(write(&agent, namespace, &ours).await);
        assert!(said.contains("leaves alone"), "{said}");
    }
    // An administrator's own policy is neither taken over nor deleted.
    write(&scene.client, SCRATCH, &json!({})).await?;
    let said = refusal(write(&agent, SCRATCH, &ours).await);
    assert!(said.contains("somebody else"), "{said}");
    let deleted = policies(&agent, SCRATCH)
        .delete(NAME, &DeleteParams::default())
        .await;
    assert!(refusal(deleted).contains("somebody else"));
    forget(&scene).await
}
