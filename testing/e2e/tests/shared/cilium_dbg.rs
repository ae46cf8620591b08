//! What `cilium-dbg` says of Services in an agent's pod, where cilium-cli asks it.

use std::time::Duration;

use anyhow::{Context, Result};
use cilium_api::names;
use gloonet_e2e::{
    Scene,
    pods::{HTTP, Playground},
    tokens,
    wait::{Progress, until},
};
use serde_json::Value;

#[tokio::test]
async fn a_service_is_listed_with_its_owner_its_endpoint_and_what_the_kernel_has_of_it()
-> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "service-list").await?;
    let web = ground.talker("web", &workers[0]).await?;
    let address = ground.service("web").await?.to_string();
    let agent =
        tokens::pod_on(&scene, names::NAMESPACE, names::AGENT_SELECTOR, &workers[1]).await?;
    let agent = agent.metadata.name.context("a name")?;
    let ask = [
        "exec",
        "--namespace",
        names::NAMESPACE,
        &agent,
        "--container",
        "cilium-agent",
        "--",
    ];
    let ask = [&ask[..], &["cilium", "service", "list", "-o", "json"]].concat();

    let listed = until(
        "the kernel has the Service's port",
        Duration::from_secs(20),
        async || {
            let all: Value = serde_json::from_str(&scene.kubectl(&ask)?)?;
            let mut all = all.as_array().context("a list")?.iter();
            let found = all.find(|service| {
                let frontend = &service["spec"]["frontend-address"];
                frontend["ip"] == address.as_str() && frontend["port"] == 80
            });
            let realized = found.filter(|service| {
                let backends = service["status"]["realized"]["backend-addresses"].as_array();
                backends.is_some_and(|backends| !backends.is_empty())
            });
            Ok(Progress::of(realized.cloned(), format!("{found:?}")))
        },
    )
    .await?;
    let flags = &listed["spec"]["flags"];
    assert_eq!(flags["namespace"], ground.namespace.as_str());
    assert_eq!(
        (&flags["name"], &flags["type"]),
        (&"web".into(), &"ClusterIP".into())
    );
    for backends in [
        &listed["spec"]["backend-addresses"],
        &listed["status"]["realized"]["backend-addresses"],
    ] {
        assert_eq!(backends.as_array().map(Vec::len), Some(1), "{listed}");
        assert_eq!(backends[0]["ip"], web.ip.to_string());
        assert_eq!(backends[0]["port"], HTTP);
        assert_eq!(backends[0]["nodeName"], workers[0].as_str());
        assert_eq!(backends[0]["state"], "active");
    }
    ground.end().await
}
