//! The scene of an outage: two servers behind a Service and under a policy, a client that may ask them, a stranger that may
//! not.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use gloonet_lab::Spot;

use crate::{
    Scene,
    lines::{Kind, Lines},
    pods::{HTTP, Playground, Talker},
    policy::{Cell, dropped, open},
};

/// After an outage of the API server a kubelet hears of a new pod up to a minute and a half late: its own pauses.
pub const HEARD: Duration = Duration::from_mins(3);

/// Only clients are let in to the servers.
const POLICY: &str = "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], \
    ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}";

/// Who is there.
#[derive(Debug)]
pub struct Stage<'a> {
    scene: &'a Scene,
    /// Their namespace.
    pub ground: &'a Playground<'a>,
    /// Two nodes pods are scheduled to. All but the far server are on the first one.
    pub nodes: [String; 2],
    /// The server on the first node.
    pub near: Talker,
    /// The server on the second node.
    pub far: Talker,
    /// May ask the servers, and is asked by everybody.
    pub client: Talker,
    /// As the client, and asks the Service all the time. Whoever asks its endpoints straight as well has two connections of one
    /// name when their ports happen to be the same (docs/services.md, limits).
    pub customer: Talker,
    /// May not ask the servers.
    pub stranger: Talker,
    /// Service in front of the servers.
    pub service: Ipv4Addr,
    /// Service in front of the clients, for whoever the policy does not let in.
    pub open_service: Ipv4Addr,
}

/// Two outcomes as one, which keeps what either complains of.
pub fn both(first: Result<()>, second: Result<()>) -> Result<()> {
    match (first, second) {
        (Err(first), Err(second)) => Err(anyhow!("{first:#}; and then: {second:#}")),
        (first, second) => first.and(second),
    }
}

impl<'a> Stage<'a> {
    /// Sets everything up in a playground of this name, does `work`, and takes it away again whatever came of it.
    pub async fn during(
        scene: &Scene,
        name: &str,
        work: impl AsyncFnOnce(&Stage<'_>) -> Result<()>,
    ) -> Result<()> {
        let ground = Playground::start(scene, name).await?;
        let outcome = match Stage::set(scene, &ground).await {
            Ok(stage) => work(&stage).await,
            Err(error) => Err(error.context("set the scene")),
        };
        both(outcome, ground.end().await)
    }

    async fn set(scene: &'a Scene, ground: &'a Playground<'a>) -> Result<Self> {
        let workers = scene.workers().await?;
        let [first, second, ..] = workers.as_slice() else {
            bail!("two workers are needed, there are {workers:?}");
        };
        let nodes = [first.clone(), second.clone()];
        let [near, far] = &nodes;
        for (name, node) in [
            ("web-near", near),
            ("web-far", far),
            ("client", near),
            ("client-customer", near),
            ("stranger", near),
        ] {
            ground.begin(name, node).await?;
        }
        let ready = async |name| ground.ready_within(name, HEARD).await;
        let stage = Self {
            near: ready("web-near").await?,
            far: ready("web-far").await?,
            client: ready("client").await?,
            customer: ready("client-customer").await?,
            stranger: ready("stranger").await?,
            service: ground.service("web").await?,
            open_service: ground.service("client").await?,
            scene,
            ground,
            nodes,
        };
        ground.network_policy("only-clients", POLICY)?;
        ground
            .holds("only clients are let in", &stage.table())
            .await?;
        stage.ask_service().await?;
        Ok(stage)
    }

    /// Who reaches whom.
    pub fn table(&self) -> [Cell; 4] {
        [
            open(&self.client, &self.near),
            open(&self.client, &self.far),
            dropped(&self.stranger, &self.near),
            dropped(&self.stranger, &self.far),
        ]
    }

    async fn ask_service(&self) -> Result<()> {
        let address = self.service.to_string();
        let answer = self
            .ground
            .ask_patiently(&self.client, "http", &address, 80, "hostname");
        answer.await.map(drop)
    }

    /// Everything that goes on all the time: old connections and new ones to both servers and to the Service, and a stranger
    /// who tries to get in.
    pub async fn lines(&self) -> Result<Lines> {
        let [client, customer, stranger] =
            [&self.client, &self.customer, &self.stranger].map(|who| Spot::Pod(who.ip));
        let (client, stranger) = (("client", &client), ("stranger", &stranger));
        let customer = ("customer", &customer);
        let mut lines = Lines::default();
        for server in [&self.near, &self.far] {
            let to = (server.name.as_str(), server.ip, HTTP);
            lines.open(self.scene, Kind::Old, client, to)?;
            lines.open(self.scene, Kind::New, client, to)?;
            lines.open(self.scene, Kind::Closed, stranger, to)?;
        }
        let service = ("the Service", self.service, 80);
        lines.open(self.scene, Kind::Old, customer, service)?;
        lines.open(self.scene, Kind::New, customer, service)?;
        lines.begun().await?;
        Ok(lines)
    }

    /// A program of a node asks a Service, by a socket that is translated.
    pub fn ask_by_socket(&self, node: &str) -> Result<()> {
        let url = format!("http://{}:80/hostname", self.open_service);
        let ask = ["timeout", "3", "busybox", "wget", "-q", "-O", "-", &url];
        let said = self.scene.in_node(node, &ask)?;
        if !said.starts_with(&self.client.name) {
            bail!("node {node} asks a Service and hears {said:?}");
        }
        Ok(())
    }

    /// The policy holds, the Service answers, and a pod that starts now is reached.
    pub async fn is_whole(&self, late: &str) -> Result<()> {
        self.ground
            .holds("only clients are let in still", &self.table())
            .await?;
        self.ask_service().await?;
        self.ground.begin(late, &self.nodes[1]).await?;
        let late = self.ground.ready_within(late, HEARD).await?;
        let address = late.ip.to_string();
        let answer = self
            .ground
            .ask_patiently(&self.client, "http", &address, HTTP, "hostname");
        answer
            .await
            .map(drop)
            .context("a pod that starts afterwards")
    }
}
