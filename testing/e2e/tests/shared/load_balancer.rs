//! Addresses for Services of type LoadBalancer: given out of a pool, and reached from outside.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use cilium_api::{
    CiliumLoadBalancerIPPool,
    load_balancer_pool::{POOL_CONFLICT, REQUEST_SATISFIED},
};
use gloonet_e2e::{
    Scene,
    objects::ignore_missing,
    pods::Playground,
    wait::{Progress, until},
};
use gloonet_lab::Spot;
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::services_outside::{ask, ask_patiently, make};

/// As long as the operator may take to say something about an object.
const SAID: Duration = Duration::from_secs(20);
/// Two of the addresses set aside for documentation (RFC 5737): no host of the lab has them.
const ADDRESS: &str = "198.51.100.70";
const NEXT: &str = "198.51.100.71";

/// A pool for the Services of one namespace, in place of one that a failed test left.
async fn pool(scene: &Scene, name: &str, namespace: &str, blocks: Value) -> Result<()> {
    let pools: Api<CiliumLoadBalancerIPPool> = Api::all(scene.client.clone());
    ignore_missing(pools.delete(name, &DeleteParams::default()).await)?;
    let pool = serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {
            "serviceSelector": {"matchLabels": {"io.kubernetes.service.namespace": namespace}},
            "blocks": blocks,
        },
    }))?;
    let made = pools.create(&PostParams::default(), &pool).await;
    made.map(drop).context("make a pool")
}

/// Status, reason and message of a condition of an object.
fn condition(conditions: &Value, name: &str) -> Option<(String, String, String)> {
    let found = conditions
        .as_array()?
        .iter()
        .find(|one| one["type"] == name)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("reason"), text("message")))
}

async fn service_says(ground: &Playground<'_>, scene: &Scene, reason: &str) -> Result<Service> {
    let services: Api<Service> = Api::namespaced(scene.client.clone(), &ground.namespace);
    until(
        &format!("the Service's request is {reason}"),
        SAID,
        async || {
            let service = services.get("web").await?;
            let said = condition(
                &serde_json::to_value(&service.status)?["conditions"],
                REQUEST_SATISFIED,
            );
            let how = format!("{said:?}");
            let is_it = said.is_some_and(|(_, said, _)| said == reason);
            Ok(Progress::of(is_it.then_some(service), how))
        },
    )
    .await
}

fn address(service: &Service) -> Result<String> {
    let status = serde_json::to_value(&service.status)?;
    match status["loadBalancer"]["ingress"].as_array() {
        Some(all) if all.len() == 1 => Ok(all[0]["ip"].as_str().context("an IP")?.to_owned()),
        other => bail!("{other:?} is not one address"),
    }
}

/// The way of the host outside to an address: what a router before the cluster would know.
fn route(scene: &Scene, action: &str, address: &str, node: &str) -> Result<()> {
    let argv = ["ip", "route", action, address, "via", node].map(str::to_owned);
    let mut command = scene.lab.command_at(&Spot::Outside, argv.to_vec())?;
    let output = command.output().context("run ip outside")?;
    if !output.status.success() {
        bail!(
            "ip route {action} {address}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_load_balancers_address_comes_out_of_a_pool_and_serves_its_source_ranges_from_outside()
-> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "lb-address").await?;
    ground.talker("web-1", &workers[0]).await?;
    make(&ground, &scene, json!({"type": "LoadBalancer"})).await?;
    let block = json!([{"start": ADDRESS, "stop": ADDRESS}]);
    pool(&scene, "e2e-addresses", &ground.namespace, block).await?;
    let service = service_says(&ground, &scene, "satisfied").await?;
    assert_eq!(address(&service)?, ADDRESS);

    // The node without the endpoint: the address is served wherever its packets arrive.
    let node = scene.node_ip(&workers[1]).await?;
    route(&scene, "replace", ADDRESS, &node)?;
    let name = ask_patiently(&scene, ADDRESS, 80, "hostname").await?;
    assert_eq!(name, "web-1");

    let services: Api<Service> = Api::namespaced(scene.client.clone(), &ground.namespace);
    let narrow = json!({"spec": {"loadBalancerSourceRanges": ["203.0.113.0/24"]}});
    let patch = Patch::Merge(&narrow);
    services
        .patch("web", &PatchParams::default(), &patch)
        .await?;
    until("others are kept out", SAID, async || {
        let answer = ask(&scene, ADDRESS, 80, "hostname");
        let how = format!("{answer:?}");
        Ok(Progress::when(answer.is_err(), how))
    })
    .await?;
    route(&scene, "del", ADDRESS, &node)?;
    let pools: Api<CiliumLoadBalancerIPPool> = Api::all(scene.client.clone());
    pools
        .delete("e2e-addresses", &DeleteParams::default())
        .await?;
    ground.end().await
}

#[tokio::test]
async fn a_pool_that_overlaps_a_node_gives_nothing_and_says_so_and_a_full_one_is_told_to_the_service()
-> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "lb-refused").await?;
    let node = scene.node_ip(&workers[0]).await?;
    let block = json!([{"cidr": format!("{node}/32")}]);
    pool(&scene, "e2e-overlap", &ground.namespace, block).await?;
    let pools: Api<CiliumLoadBalancerIPPool> = Api::all(scene.client.clone());
    until("the pool is in conflict", SAID, async || {
        let status = serde_json::to_value(&pools.get("e2e-overlap").await?.status)?;
        let said = condition(&status["conditions"], POOL_CONFLICT);
        let how = format!("{said:?}");
        let is_it = said.is_some_and(|(_, reason, message)| {
            reason == "cluster_overlap" && message.contains(&node)
        });
        Ok(Progress::when(is_it, how))
    })
    .await?;
    make(&ground, &scene, json!({"type": "LoadBalancer"})).await?;
    service_says(&ground, &scene, "no_pool").await?;

    // What it waits for: a block that is free.
    let block = json!([{"start": NEXT, "stop": NEXT}]);
    pool(&scene, "e2e-overlap", &ground.namespace, block).await?;
    let service = service_says(&ground, &scene, "satisfied").await?;
    assert_eq!(address(&service)?, NEXT);
    let second = json!({"metadata": {"name": "late"}, "spec": {
        "type": "LoadBalancer", "ports": [{"port": 80}]}});
    let services: Api<Service> = Api::namespaced(scene.client.clone(), &ground.namespace);
    let second = serde_json::from_value(second)?;
    services.create(&PostParams::default(), &second).await?;
    until("the late one is told", SAID, async || {
        let status = serde_json::to_value(services.get("late").await?.status)?;
        let said = condition(&status["conditions"], REQUEST_SATISFIED);
        let how = format!("{said:?}");
        let is_it = said.is_some_and(|(status, reason, message)| {
            status == "False" && reason == "out_of_ips" && message.contains("e2e-overlap")
        });
        Ok(Progress::when(is_it, how))
    })
    .await?;
    pools
        .delete("e2e-overlap", &DeleteParams::default())
        .await?;
    ground.end().await
}
