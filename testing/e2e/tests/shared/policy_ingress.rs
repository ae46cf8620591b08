//! NetworkPolicy on the way in: who may reach a pod, and what happens when policies and labels change.

use anyhow::Result;
use gloonet_e2e::{
    Scene,
    pods::{HTTP, Playground, Talker},
    policy::{Cell, Reach, dropped, open},
};

/// A server on one node; two clients, one beside it and one on another node.
struct Three<'a> {
    ground: Playground<'a>,
    server: Talker,
    near: Talker,
    far: Talker,
}

impl<'a> Three<'a> {
    async fn start(scene: &'a Scene, name: &str) -> Result<Self> {
        let workers = scene.workers().await?;
        let ground = Playground::start(scene, name).await?;
        let server = ground.talker("server", &workers[0]).await?;
        let near = ground.talker("near", &workers[0]).await?;
        let far = ground.talker("far", &workers[1]).await?;
        Ok(Self {
            ground,
            server,
            near,
            far,
        })
    }

    /// What either client gets from the server.
    fn cells(&self, near: Reach, far: Reach) -> [Cell; 2] {
        let cell = |from, want| Cell::tcp(from, &self.server.ip, HTTP, want);
        [cell(&self.near, near), cell(&self.far, far)]
    }
}

#[tokio::test]
async fn default_deny_closes_tcp_and_udp_from_every_node_and_its_deletion_opens_them_again()
-> Result<()> {
    let scene = Scene::open().await?;
    let three = Three::start(&scene, "np-deny").await?;
    let ground = &three.ground;
    let both_ways = |want: Reach| {
        let tcp = three.cells(want.clone(), want.clone());
        let udp = three.cells(want.clone(), want).map(Cell::over_udp);
        [tcp, udp].concat()
    };
    ground
        .holds(
            "without a policy everything is open",
            &both_ways(Reach::Open),
        )
        .await?;
    ground.network_policy("deny", "{podSelector: {}, policyTypes: [Ingress]}")?;
    ground
        .holds("everything is closed", &both_ways(Reach::Dropped))
        .await?;
    ground.delete_policy("networkpolicy/deny")?;
    ground
        .holds("everything is open again", &both_ways(Reach::Open))
        .await?;
    three.ground.end().await
}

#[tokio::test]
async fn a_policy_that_selects_one_pod_leaves_its_neighbour_open() -> Result<()> {
    let scene = Scene::open().await?;
    let three = Three::start(&scene, "np-one").await?;
    let spec = "{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress]}";
    three.ground.network_policy("deny", spec)?;
    let cells = [
        dropped(&three.near, &three.server),
        open(&three.near, &three.far),
        open(&three.server, &three.near),
    ];
    three
        .ground
        .holds("only the server is closed", &cells)
        .await?;
    three.ground.end().await
}

#[tokio::test]
async fn a_label_lets_a_client_in_and_losing_it_shuts_it_out() -> Result<()> {
    let scene = Scene::open().await?;
    let three = Three::start(&scene, "np-label").await?;
    let ground = &three.ground;
    ground.network_policy(
        "allow",
        "{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}]}]}",
    )?;
    let nobody = three.cells(Reach::Dropped, Reach::Dropped);
    ground.holds("nobody has the label", &nobody).await?;
    ground.label("far", "role=friend")?;
    let far_only = three.cells(Reach::Dropped, Reach::Open);
    ground.holds("the labelled client is in", &far_only).await?;
    ground.label("far", "role=stranger")?;
    ground.holds("its label is gone", &nobody).await?;
    three.ground.end().await
}

#[tokio::test]
async fn a_namespace_is_let_in_by_its_labels_and_no_other() -> Result<()> {
    let scene = Scene::open().await?;
    let workers = scene.workers().await?;
    let home = Playground::start(&scene, "np-home").await?;
    let friend = Playground::start(&scene, "np-friend").await?;
    let stranger = Playground::start(&scene, "np-stranger").await?;
    let server = home.talker("server", &workers[0]).await?;
    let local = home.talker("local", &workers[0]).await?;
    let welcome = friend.talker("client", &workers[1]).await?;
    let unwelcome = stranger.talker("client", &workers[1]).await?;
    home.network_policy(
        "allow",
        "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: \
         {kubernetes.io/metadata.name: e2e-np-friend}}, podSelector: {matchLabels: {app: client}}}]}]}",
    )?;
    friend
        .holds("the named namespace is in", &[open(&welcome, &server)])
        .await?;
    stranger
        .holds("the other one is not", &[dropped(&unwelcome, &server)])
        .await?;
    home.holds("nor is the policy's own", &[dropped(&local, &server)])
        .await?;
    for ground in [home, friend, stranger] {
        ground.end().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_named_port_and_a_range_open_those_ports_only() -> Result<()> {
    let scene = Scene::open().await?;
    let three = Three::start(&scene, "np-ports").await?;
    let ground = &three.ground;
    let rule = |ports: &str| format!("{{podSelector: {{}}, ingress: [{{ports: [{ports}]}}]}}");
    // The talkers listen on 8080 (TCP, "http") and 8081 (UDP, "udp").
    let cases = [
        ("{port: http}", Reach::Open, Reach::Dropped),
        ("{protocol: UDP, port: udp}", Reach::Dropped, Reach::Open),
        ("{port: 8079, endPort: 8080}", Reach::Open, Reach::Dropped),
        ("{port: 8080, endPort: 8080}", Reach::Open, Reach::Dropped),
        (
            "{port: 8081, endPort: 9000}",
            Reach::Dropped,
            Reach::Dropped,
        ),
        (
            "{port: 8000, endPort: 8079}",
            Reach::Dropped,
            Reach::Dropped,
        ),
        (
            "{protocol: UDP, port: 8000, endPort: 8081}",
            Reach::Dropped,
            Reach::Open,
        ),
    ];
    for (ports, tcp, udp) in cases {
        ground.network_policy("ports", &rule(ports))?;
        let cells = [
            Cell::tcp(&three.far, &three.server.ip, HTTP, tcp),
            Cell::tcp(&three.far, &three.server.ip, HTTP, udp).over_udp(),
        ];
        ground.holds(ports, &cells).await?;
    }
    three.ground.end().await
}

#[tokio::test]
async fn a_node_reaches_its_own_pods_although_they_are_closed() -> Result<()> {
    let scene = Scene::open().await?;
    let three = Three::start(&scene, "np-kubelet").await?;
    let ground = &three.ground;
    ground.network_policy("deny", "{podSelector: {}, policyTypes: [Ingress]}")?;
    ground
        .holds(
            "pods are closed",
            &three.cells(Reach::Dropped, Reach::Dropped),
        )
        .await?;
    // The readiness probe is the kubelet's; one that fails would take the pod out within seconds.
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    ground.ready("server").await?;
    three.ground.end().await
}
