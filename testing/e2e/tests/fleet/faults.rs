//! Whatever breaks between the clusters, no policy goes, and in the end everything is as it was written.

use std::time::Duration;

use anyhow::{Context, Result};
use gloo_api::names;
use gloonet_e2e::{
    Scene,
    fleet::{CONNECTED, Fleet, OBEYED, Vigil},
    objects, platform,
    policy::{dropped, open},
    wait::{Progress, until},
};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use crate::shop::Shop;

/// How long a cluster is cut off; longer than any keep-alive of the relay.
const CUT: Duration = Duration::from_secs(50);

fn pods(scene: &Scene) -> Api<Pod> {
    Api::namespaced(scene.client.clone(), names::NAMESPACE)
}

/// Pods of an application of the platform that are ready.
async fn ready(scene: &Scene, app: &str) -> Result<Vec<String>> {
    let all = pods(scene)
        .list(&ListParams::default().labels(&format!("app={app}")))
        .await?;
    Ok(all
        .iter()
        .filter(|pod| objects::is_ready(pod))
        .map(ResourceExt::name_any)
        .collect())
}

/// Kills every pod of an application at once, without grace, and waits until others are ready.
async fn kill(scene: &Scene, app: &str) -> Result<()> {
    let before = ready(scene, app).await?;
    for pod in &before {
        let now = DeleteParams::default().grace_period(0);
        pods(scene).delete(pod, &now).await?;
    }
    until(&format!("{app} is ready again"), CONNECTED, async || {
        let after = ready(scene, app).await?;
        let others = after.iter().filter(|pod| !before.contains(pod)).count();
        Ok(Progress::when(others >= before.len(), format!("{after:?}")))
    })
    .await
}

async fn vigils(fleet: &Fleet) -> Result<Vec<Vigil>> {
    let mut vigils = Vec::new();
    for scene in fleet.workloads.values() {
        vigils.push(Vigil::begin(scene).await?);
    }
    Ok(vigils)
}

async fn end(vigils: Vec<Vigil>) -> Result<()> {
    for vigil in vigils {
        vigil.end().await?;
    }
    Ok(())
}

/// Turns who is let in to somebody else, and waits until traffic obeys in every branch.
async fn turn(shop: &Shop<'_>, to: &str) -> Result<()> {
    shop.admit(to)?;
    for branch in &shop.branches {
        let (clerk, thief) = (&branch.clerk, &branch.thief);
        let cells = if to == "clerk" {
            [open(clerk, &branch.web), dropped(thief, &branch.web)]
        } else {
            [dropped(clerk, &branch.web), open(thief, &branch.web)]
        };
        branch
            .shop
            .holds_within(OBEYED, &format!("only {to} is served"), &cells)
            .await?;
    }
    Ok(())
}

async fn isolated(fleet: &Fleet) -> Result<Shop<'_>> {
    fleet.connected(CONNECTED).await?;
    let shop = Shop::open(fleet).await?;
    shop.isolate()?;
    turn(&shop, "clerk").await?;
    Ok(shop)
}

#[tokio::test]
async fn server_and_redis_can_be_killed_and_wiped_and_no_policy_goes() -> Result<()> {
    let fleet = Fleet::open().await?;
    let shop = isolated(&fleet).await?;
    let watched = vigils(&fleet).await?;
    kill(&fleet.management, names::MANAGEMENT_SERVER).await?;
    fleet.connected(CONNECTED).await?;
    turn(&shop, "thief").await?;
    // Its volume goes with it: this Redis comes back with nothing.
    kill(&fleet.management, "gloo-mesh-redis").await?;
    turn(&shop, "clerk").await?;
    // Both at once: a server that knows nothing, and a store that knows nothing.
    tokio::try_join!(
        kill(&fleet.management, "gloo-mesh-redis"),
        kill(&fleet.management, names::MANAGEMENT_SERVER),
    )?;
    fleet.connected(CONNECTED).await?;
    turn(&shop, "thief").await?;
    end(watched).await?;
    shop.close().await
}

#[tokio::test]
async fn a_cluster_cut_off_keeps_its_policies_and_catches_up() -> Result<()> {
    let fleet = Fleet::open().await?;
    let shop = isolated(&fleet).await?;
    let watched = vigils(&fleet).await?;
    let link = fleet.workloads["east"].lab.link("outside")?;
    link.cut()?;
    tokio::time::sleep(CUT).await;
    let away = fleet.noticed_away("east").await;
    shop.admit("thief")?;
    let [east, west] = &shop.branches[..] else {
        anyhow::bail!("two branches");
    };
    let cells = [
        open(&west.thief, &west.web),
        dropped(&west.clerk, &west.web),
    ];
    let obeyed = west
        .shop
        .holds_within(OBEYED, "the other cluster follows meanwhile", &cells)
        .await;
    let cells = [
        open(&east.clerk, &east.web),
        dropped(&east.thief, &east.web),
    ];
    let kept = east
        .shop
        .holds("the cluster that is cut off stays as it was", &cells)
        .await;
    link.heal()?;
    away.and(obeyed).and(kept)?;
    fleet.connected(CONNECTED).await?;
    turn(&shop, "thief").await?;
    end(watched).await?;
    shop.close().await
}

#[tokio::test]
async fn an_agent_is_replaced_as_in_an_upgrade_and_no_policy_goes() -> Result<()> {
    let fleet = Fleet::open().await?;
    let shop = isolated(&fleet).await?;
    let watched = vigils(&fleet).await?;
    let west = &fleet.workloads["west"];
    let before = ready(west, names::AGENT).await?;
    let api: Api<Deployment> = Api::namespaced(west.client.clone(), names::NAMESPACE);
    api.restart(names::AGENT)
        .await
        .context("restart the agent")?;
    until("another agent is ready", CONNECTED, async || {
        let after = ready(west, names::AGENT).await?;
        let other = after.iter().any(|pod| !before.contains(pod));
        Ok(Progress::when(
            other && after.len() == 1,
            format!("{after:?}"),
        ))
    })
    .await?;
    fleet.connected(CONNECTED).await?;
    turn(&shop, "thief").await?;
    end(watched).await?;
    // The restart is an annotation on the operator's Deployment, which it takes back.
    platform::settled(west, platform::HEALED).await?;
    shop.close().await
}

#[tokio::test]
async fn a_replica_of_the_server_is_lost_and_the_other_one_serves() -> Result<()> {
    let fleet = Fleet::open().await?;
    let home = &fleet.management;
    let replicas = |replicas: u16| json!({"gloo": {"managementServer": {"replicas": replicas}}});
    platform::change(home, replicas(2)).await?;
    platform::settled(home, platform::HEALED).await?;
    let shop = isolated(&fleet).await?;
    let watched = vigils(&fleet).await?;
    let servers = ready(home, names::MANAGEMENT_SERVER).await?;
    let lost = servers.first().context("no server is ready")?;
    pods(home)
        .delete(lost, &DeleteParams::default().grace_period(0))
        .await?;
    fleet.connected(CONNECTED).await?;
    turn(&shop, "thief").await?;
    end(watched).await?;
    platform::change(home, replicas(1)).await?;
    platform::settled(home, platform::HEALED).await?;
    fleet.connected(CONNECTED).await?;
    shop.close().await
}
