//! NetworkPolicy on the way out, and blocks of addresses that are pods' and nodes' own.

use anyhow::Result;
use gloonet_e2e::{
    Scene,
    pods::{self, Playground},
    policy::{Cell, Reach, dropped, open},
};

/// Port of talkers on the host network.
const HOST_HTTP: u16 = 18_080;

#[tokio::test]
async fn default_deny_lets_nothing_out_and_answers_still_leave() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "np-out").await?;
    let closed = ground.talker("closed", &workers[0]).await?;
    let other = ground.talker("other", &workers[1]).await?;
    let spec = "{podSelector: {matchLabels: {app: closed}}, policyTypes: [Egress]}";
    ground.network_policy("deny", spec)?;
    let cells = [
        dropped(&closed, &other),
        dropped(&closed, &other).over_udp(),
        open(&other, &closed),
        open(&other, &closed).over_udp(),
    ];
    ground.holds("nothing begins inside", &cells).await?;
    ground.end().await
}

#[tokio::test]
async fn a_label_is_let_out_to_also_through_a_service() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "np-out-label").await?;
    let friend = ground.service("friend").await?;
    let stranger = ground.service("stranger").await?;
    ground.talker("friend-1", &workers[1]).await?;
    ground.talker("stranger-1", &workers[1]).await?;
    let client = ground.talker("client", &workers[0]).await?;
    for service in [&friend, &stranger] {
        let to = service.to_string();
        ground
            .ask_patiently(&client, "http", &to, 80, "hostname")
            .await?;
    }
    ground.network_policy(
        "allow",
        "{podSelector: {matchLabels: {app: client}}, egress: [{to: [{podSelector: {matchLabels: {app: friend}}}]}]}",
    )?;
    let cells = [
        Cell::tcp(&client, &friend, 80, Reach::Open),
        Cell::tcp(&client, &stranger, 80, Reach::Dropped),
    ];
    ground
        .holds("only the friend's Service answers", &cells)
        .await?;
    ground.end().await
}

/// Cilium does not match pods' addresses by blocks; the API says that all addresses may be meant.
#[tokio::test]
async fn a_block_of_addresses_matches_pods_and_its_exception_does_not() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "np-block").await?;
    let client = ground.talker("client", &workers[0]).await?;
    let first = ground.talker("first", &workers[1]).await?;
    let second = ground.talker("second", &workers[1]).await?;
    let block = |to: &str| {
        format!("{{podSelector: {{matchLabels: {{app: client}}}}, egress: [{{to: [{to}]}}]}}")
    };
    let only_first = [open(&client, &first), dropped(&client, &second)];
    let cidr = format!("{{ipBlock: {{cidr: {}/32}}}}", first.ip);
    ground.network_policy("block", &block(&cidr))?;
    ground.holds("one pod's address", &only_first).await?;

    let except = format!(
        "{{ipBlock: {{cidr: 0.0.0.0/0, except: [{}/32]}}}}",
        second.ip
    );
    ground.network_policy("block", &block(&except))?;
    ground
        .holds("all but one pod's address", &only_first)
        .await?;

    // An exception limits its own block; what another rule allows stays allowed.
    let again = format!("{except}, {{ipBlock: {{cidr: {}/32}}}}", second.ip);
    ground.network_policy("block", &block(&again))?;
    let both = [open(&client, &first), open(&client, &second)];
    ground.holds("excepted here, allowed there", &both).await?;
    ground.end().await
}

#[tokio::test]
async fn a_block_of_addresses_matches_nodes() -> Result<()> {
    let _hosts = pods::hosts().await;
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let ground = Playground::start(&scene, "np-node").await?;
    let client = ground.talker("client", &workers[0]).await?;
    let own = ground.on_host("host-own", &workers[0]).await?;
    let other = ground.on_host("host-other", &workers[1]).await?;
    ground.network_policy(
        "block",
        &format!(
            "{{podSelector: {{matchLabels: {{app: client}}}}, egress: [{{to: [{{ipBlock: {{cidr: {}/32}}}}]}}]}}",
            other.ip
        ),
    )?;
    let cells = [
        Cell::tcp(&client, &other.ip, HOST_HTTP, Reach::Open),
        Cell::tcp(&client, &own.ip, HOST_HTTP, Reach::Dropped),
    ];
    ground.holds("one node's address", &cells).await?;
    ground.end().await
}
