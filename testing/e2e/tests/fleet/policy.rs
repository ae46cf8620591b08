//! What is written in the management cluster is enforced in every workload cluster.

use anyhow::Result;
use gloonet_e2e::{
    fleet::{CONNECTED, Fleet},
    policy::{dropped, open},
    wait::{Progress, until},
};

use crate::shop::{Branch, ISOLATED, SHOP, Shop};

/// Verdict and message of the AccessPolicy, as the management server wrote them.
fn verdict(fleet: &Fleet) -> Result<String> {
    let path = "jsonpath={.status.common.State.approval} {.status.numAllowedServiceAccounts} {.status.common.State.message}";
    let arguments = [
        "get",
        "accesspolicy",
        "web",
        "--namespace",
        SHOP,
        "--output",
        path,
    ];
    fleet.management.kubectl(&arguments)
}

async fn serves_everybody(branch: &Branch<'_>, when: &str) -> Result<()> {
    let Branch {
        web,
        clerk,
        thief,
        passerby,
        ..
    } = branch;
    let inside = [open(clerk, web), open(thief, web)];
    branch
        .holds(
            &format!("{when} everybody is served"),
            &inside,
            &[open(passerby, web)],
        )
        .await
}

async fn serves_its_workspace(branch: &Branch<'_>) -> Result<()> {
    let Branch {
        web,
        clerk,
        thief,
        passerby,
        ..
    } = branch;
    let inside = [open(clerk, web), open(thief, web)];
    branch
        .holds(
            "the workspace serves itself only",
            &inside,
            &[dropped(passerby, web)],
        )
        .await
}

async fn serves_its_clerk(branch: &Branch<'_>) -> Result<()> {
    let Branch {
        web,
        clerk,
        thief,
        passerby,
        ..
    } = branch;
    // The other port is still the whole workspace's.
    let inside = [
        open(clerk, web),
        dropped(thief, web),
        open(thief, web).over_udp(),
    ];
    let outside = [dropped(passerby, web), dropped(passerby, web).over_udp()];
    branch
        .holds("only the clerk is served", &inside, &outside)
        .await
}

#[tokio::test]
async fn isolation_and_an_access_policy_hold_in_both_workload_clusters() -> Result<()> {
    let fleet = Fleet::open().await?;
    fleet.connected(CONNECTED).await?;
    let shop = Shop::open(&fleet).await?;
    for branch in &shop.branches {
        serves_everybody(branch, "before isolation").await?;
    }
    shop.isolate()?;
    for branch in &shop.branches {
        fleet.policies(branch.scene, SHOP, &ISOLATED).await?;
        serves_its_workspace(branch).await?;
    }
    shop.admit("clerk")?;
    for branch in &shop.branches {
        serves_its_clerk(branch).await?;
    }
    until("the policy's status is written", CONNECTED, async || {
        let said = verdict(&fleet)?;
        // The account of each workload cluster.
        Ok(Progress::when(said.starts_with("ACCEPTED 2"), said))
    })
    .await?;
    shop.delete("accesspolicy/web")?;
    shop.delete("workspacesettings/shop")?;
    for branch in &shop.branches {
        fleet.policies(branch.scene, SHOP, &[]).await?;
        serves_everybody(branch, "without isolation").await?;
    }
    shop.close().await
}
