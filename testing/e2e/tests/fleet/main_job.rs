//! Three clusters, each with its own GlooNetwork, under one management server.

use anyhow::Result;
use gloonet_e2e::{
    fleet::{CONNECTED, Fleet},
    platform,
};

#[tokio::test]
async fn every_cluster_is_available_connected_and_warmed() -> Result<()> {
    let fleet = Fleet::open().await?;
    for scene in fleet.all() {
        platform::settled(scene, platform::HEALED).await?;
    }
    fleet.connected(CONNECTED).await
}
