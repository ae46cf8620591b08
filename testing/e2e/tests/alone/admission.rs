//! Tests 10 to 12 of the security reference: an agent's token speaks for its own node only.

use std::time::Duration;

use anyhow::{Context, Result};
use cilium_api::{CiliumEndpoint, CiliumNode, names};
use gloonet_e2e::{
    Scene, objects,
    sentence::assert_says,
    tokens,
    wait::{Progress, until},
};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

/// An agent of one worker, and the names of that worker and of another.
struct Agent {
    scene: Scene,
    client: Client,
    pod: Pod,
    own: CiliumNode,
    other: CiliumNode,
}

const SCRATCH: &str = "default";
const ENDPOINT: &str = "admission-test";

impl Agent {
    async fn of_first_worker() -> Result<Self> {
        let scene = Scene::open().await?;
        let workers = scene.workers().await?;
        let pod =
            tokens::pod_on(&scene, names::NAMESPACE, names::AGENT_SELECTOR, &workers[0]).await?;
        let token =
            tokens::token(&scene.client, names::NAMESPACE, names::AGENT, Some(&pod)).await?;
        let client = scene.client_with_token(token).await?;
        let nodes: Api<CiliumNode> = Api::all(scene.client.clone());
        let (own, other) = (nodes.get(&workers[0]).await?, nodes.get(&workers[1]).await?);
        forget_endpoint(&scene).await?;
        Ok(Self {
            scene,
            client,
            pod,
            own,
            other,
        })
    }

    async fn node(&self, name: &str, spec: Value) -> kube::Result<CiliumNode> {
        self.patch_node(name, json!({"spec": spec})).await
    }

    async fn patch_node(&self, name: &str, body: Value) -> kube::Result<CiliumNode> {
        Api::all(self.client.clone())
            .patch(name, &PatchParams::default(), &Patch::Merge(body))
            .await
    }

    async fn endpoint(&self, status: Value) -> kube::Result<CiliumEndpoint> {
        write_endpoint(&self.client, status).await
    }
}

async fn write_endpoint(client: &Client, status: Value) -> kube::Result<CiliumEndpoint> {
    let body = json!({
        "apiVersion": "cilium.io/v2", "kind": "CiliumEndpoint",
        "metadata": {"name": ENDPOINT, "namespace": SCRATCH}, "status": status,
    });
    let manager = PatchParams::apply("admission-test").force();
    Api::namespaced(client.clone(), SCRATCH)
        .patch(ENDPOINT, &manager, &Patch::Apply(body))
        .await
}

async fn forget_endpoint(scene: &Scene) -> Result<()> {
    let endpoints: Api<CiliumEndpoint> = Api::namespaced(scene.client.clone(), SCRATCH);
    objects::ignore_missing(endpoints.delete(ENDPOINT, &DeleteParams::default()).await)?;
    Ok(())
}

/// The address with this last byte in a node's first podCIDR.
fn address(node: &CiliumNode, last: u8) -> String {
    let network = node.pod_cidrs().next().unwrap().network().octets();
    format!("{}.{}.{}.{last}", network[0], network[1], network[2])
}

fn at(node: &CiliumNode, ip: &str, identity: i64) -> Value {
    json!({
        "identity": {"id": identity},
        "networking": {"node": node.internal_ipv4().unwrap().to_string(), "addressing": [{"ipv4": ip}]},
    })
}

/// The sentence of a refusal with status 403.
fn refusal<T: std::fmt::Debug>(answer: kube::Result<T>) -> String {
    match answer.unwrap_err() {
        kube::Error::Api(status) => {
            assert_eq!(status.code, 403, "{status:?}");
            status.message.clone()
        }
        other => panic!("no answer of the API server: {other}"),
    }
}

#[tokio::test]
async fn an_agent_writes_its_own_cilium_node_and_endpoints() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    let name = agent.own.metadata.name.clone().context("a name")?;
    agent
        .node(&name, json!({"bootid": "admission-test"}))
        .await
        .context("its own CiliumNode")?;
    let ip = address(&agent.own, 250);
    agent
        .endpoint(at(&agent.own, &ip, 300))
        .await
        .context("an endpoint of its own node")?;
    agent
        .endpoint(at(&agent.own, &ip, 5))
        .await
        .context("an endpoint whose labels are not known yet")?;
    forget_endpoint(&agent.scene).await
}

#[tokio::test]
async fn an_agent_does_not_write_another_nodes_cilium_node() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    let name = agent.other.metadata.name.clone().context("a name")?;
    let sentence = refusal(agent.node(&name, json!({"bootid": "forged"})).await);
    assert_says(
        &sentence,
        &[
            &format!("CiliumNode {name} belongs to another node"),
            "writes only the CiliumNode of its own node",
        ],
    );
    Ok(())
}

#[tokio::test]
async fn an_agent_does_not_give_itself_pod_cidrs() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    let name = agent.own.metadata.name.clone().context("a name")?;
    let theirs = &agent.other.spec.ipam.pod_cidrs;
    for cidrs in [json!(theirs), json!(["0.0.0.0/0"]), json!([])] {
        let sentence = refusal(
            agent
                .node(&name, json!({"ipam": {"podCIDRs": cidrs}}))
                .await,
        );
        assert_says(
            &sentence,
            &[&format!(
                "podCIDRs of CiliumNode {name} are given by cilium-operator only"
            )],
        );
    }
    let mine = agent.own.internal_ipv4().context("an InternalIP")?;
    let router = json!([
        {"type": "InternalIP", "ip": mine.to_string()},
        {"type": "CiliumInternalIP", "ip": address(&agent.other, 1)},
    ]);
    let sentence = refusal(agent.node(&name, json!({"addresses": router})).await);
    assert_says(&sentence, &["lies outside its podCIDRs"]);
    Ok(())
}

#[tokio::test]
async fn an_agent_does_not_give_its_node_another_address_or_labels() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    let name = agent.own.metadata.name.clone().context("a name")?;
    let internal = |ip: String| json!({"type": "InternalIP", "ip": ip});
    let address = |node: &CiliumNode| node.internal_ipv4().context("an InternalIP");
    let (mine, theirs) = (address(&agent.own)?, address(&agent.other)?);
    for addresses in [
        json!([internal(theirs.to_string())]),
        json!([internal(mine.to_string()), internal(theirs.to_string())]),
        json!([internal("203.0.113.7".to_owned())]),
        json!([]),
    ] {
        let sentence = refusal(agent.node(&name, json!({"addresses": addresses})).await);
        assert_says(
            &sentence,
            &[
                &format!("CiliumNode {name} has InternalIP {mine}"),
                "which an agent does not change",
                "delete the CiliumNode",
            ],
        );
    }
    for labels in [json!({"admission-test": "forged"}), Value::Null] {
        let body = json!({"metadata": {"labels": labels}});
        let sentence = refusal(agent.patch_node(&name, body).await);
        assert_says(
            &sentence,
            &[&format!(
                "labels of CiliumNode {name} are given by cilium-operator only"
            )],
        );
    }
    Ok(())
}

#[tokio::test]
async fn an_agent_does_not_make_an_endpoint_with_a_foreign_address_node_or_identity() -> Result<()>
{
    let agent = Agent::of_first_worker().await?;
    let name = format!("CiliumEndpoint {SCRATCH}/{ENDPOINT}");
    let (mine, theirs) = (address(&agent.own, 250), address(&agent.other, 250));
    let foreign_address = refusal(agent.endpoint(at(&agent.own, &theirs, 300)).await);
    assert_says(&foreign_address, &[&name, "lies outside the podCIDRs"]);
    let foreign_node = refusal(agent.endpoint(at(&agent.other, &mine, 300)).await);
    assert_says(&foreign_node, &[&name, "names another node"]);
    for identity in [0, 1, 2, 6, 7, 70_000] {
        let privileged = refusal(agent.endpoint(at(&agent.own, &mine, identity)).await);
        assert_says(&privileged, &[&name, "claims a reserved identity"]);
    }
    Ok(())
}

#[tokio::test]
async fn an_agent_does_not_take_over_another_nodes_endpoint() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    write_endpoint(
        &agent.scene.client,
        at(&agent.other, &address(&agent.other, 250), 300),
    )
    .await?;
    let sentence = refusal(
        agent
            .endpoint(at(&agent.own, &address(&agent.own, 250), 300))
            .await,
    );
    forget_endpoint(&agent.scene).await?;
    assert_says(
        &sentence,
        &["belongs to another node", "wait until it is gone"],
    );
    Ok(())
}

#[tokio::test]
async fn a_token_that_names_no_node_writes_nothing() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    let token = tokens::token(&agent.scene.client, names::NAMESPACE, names::AGENT, None).await?;
    let client = agent.scene.client_with_token(token).await?;
    let sentence =
        refusal(write_endpoint(&client, at(&agent.own, &address(&agent.own, 250), 300)).await);
    assert_says(&sentence, &["names no node"]);
    Ok(())
}

#[tokio::test]
async fn a_token_is_worthless_when_its_pod_is_gone() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    let pods: Api<Pod> = Api::namespaced(agent.scene.client.clone(), names::NAMESPACE);
    let node = agent.own.metadata.name.clone().context("a name")?;
    let stolen = objects::short_lived_pod(&pods, names::AGENT, &node).await?;
    let token = tokens::token(
        &agent.scene.client,
        names::NAMESPACE,
        names::AGENT,
        Some(&stolen),
    )
    .await?;
    let client = agent.scene.client_with_token(token).await?;
    let read = Api::<CiliumNode>::all(client.clone());
    read.list(&ListParams::default())
        .await
        .context("while the pod exists")?;
    objects::delete_now(&pods, &stolen).await?;
    // The API server remembers a token it has accepted for ten seconds.
    until(
        "the token is refused",
        Duration::from_secs(20),
        async || match read.list(&ListParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 401 => Ok(Progress::Done(())),
            other => Ok(Progress::NotYet(format!(
                "{:?}",
                other.map(|list| list.items.len())
            ))),
        },
    )
    .await
}

#[tokio::test]
async fn an_agent_makes_no_identity_and_deletes_nothing() -> Result<()> {
    let agent = Agent::of_first_worker().await?;
    let identity = cilium_api::CiliumIdentity::new(
        cilium_api::NumericIdentity(65_000),
        cilium_api::LabelSet::default(),
    );
    let identities: Api<cilium_api::CiliumIdentity> = Api::all(agent.client.clone());
    refusal(
        identities
            .create(&kube::api::PostParams::default(), &identity)
            .await,
    );
    let own = agent.own.metadata.name.clone().context("a name")?;
    refusal(
        Api::<CiliumNode>::all(agent.client.clone())
            .delete(&own, &DeleteParams::default())
            .await,
    );
    let pods: Api<Pod> = Api::namespaced(agent.client.clone(), names::NAMESPACE);
    let pod = agent.pod.metadata.name.clone().context("a name")?;
    refusal(pods.delete(&pod, &DeleteParams::default()).await);
    Ok(())
}
