//! A node's agent on a socket of its own, with a datapath in memory that can be told to refuse.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use cilium_agent::agent::{Agent, Own};
use cilium_agent::api;
use cilium_agent::bell::Bells;
use cilium_agent::endpoints::Endpoints;
use cilium_agent::health::Progress;
use cilium_agent::ipam::Pool;
use cilium_agent::kubernetes::{Kubernetes, Readers, Watched};
use cilium_agent::metrics::Metrics;
use cilium_agent::policy::{Policies, Surroundings};
use cilium_agent::store::Store;
use cilium_cni::agent::Agent as Client;
use cilium_cni::environment::Verb;
use cilium_cni::netconf::{self, NetConf};
use datapath::{
    Collected, Counter, Datapath, Endpoint, Error, EventSource, Fake, Flow, Frontend, IpEntry,
    MapOperations, MapPressure, PolicyEntry, PolicyKey, Routing, Service, Tenant,
};
use ipnet::Ipv4Net;

pub(crate) struct Node {
    pub(crate) agent: Arc<Agent>,
    pub(crate) datapath: Arc<Moody>,
    pub(crate) socket: PathBuf,
    pub(crate) progress: Progress,
    pub(crate) folder: tempfile::TempDir,
}

/// An agent that serves on a socket of its own. Its API server is not there.
pub(crate) async fn node(cidr: &str) -> Node {
    let node = unlisted(cidr, |router| router).await;
    node.list();
    node
}

/// As [`node`], before anything was listed; `served` has the last word on what is answered.
pub(crate) async fn unlisted(cidr: &str, served: impl FnOnce(Router) -> Router) -> Node {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    std::fs::write(
        &kubeconfig,
        r#"{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],
            "contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
            "users":[{"name":"u","user":{}}],"current-context":"c"}"#,
    )
    .unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let progress = Progress::default();
    let metrics = Metrics::new(progress.clone());
    let kubernetes = Kubernetes::connect(Some(&kubeconfig), metrics.calls());
    let kubernetes = kubernetes.await.unwrap();
    let datapath = Arc::new(Moody::default());
    let own = Own {
        name: "worker-1".to_owned(),
        ip: Ipv4Addr::new(172, 30, 0, 11),
        router: Ipv4Addr::new(10, 244, 1, 1),
        pod_cidrs: vec![cidr.parse().unwrap()],
        cluster: "west".to_owned(),
        mtu: 1450,
        routing: Routing::Tunnel,
        maglev: None,
    };
    let store = Store::open(&folder.path().join("state")).unwrap();
    let pool = Pool::new(own.pod_cidrs.clone(), own.router);
    let policies = Policies::new(
        datapath.clone(),
        store.clone(),
        datapath::MAX_POLICY_ENTRIES,
    )
    .unwrap();
    let endpoints = Endpoints::new(pool, datapath.clone(), store, Bells::default(), 1);
    let watched = Arc::new(Watched::new(&Readers::default()));
    let agent = Arc::new(Agent::new(
        own,
        None,
        endpoints,
        policies,
        watched,
        kubernetes,
        datapath.clone(),
    ));
    let socket = folder.path().join("cilium.sock");
    let listener = api::listen(&socket).unwrap();
    let router = served(api::router(agent.clone(), metrics));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Node {
        agent,
        datapath,
        socket,
        progress,
        folder,
    }
}

impl Node {
    /// As after the first listing, of a cluster without policies.
    pub(crate) fn list(&self) {
        let agent = &self.agent;
        agent
            .policies
            .pass(&agent.watched, &Surroundings::default());
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.socket, Duration::from_secs(5))
            .await
            .unwrap()
    }

    pub(crate) fn conf(&self, extra: &str, verb: Verb) -> NetConf {
        netconf::parse(self.text(extra).as_bytes(), verb).unwrap()
    }

    /// What a runtime writes to the plugin.
    pub(crate) fn text(&self, extra: &str) -> String {
        format!(
            r#"{{"cniVersion":"1.1.0","name":"cilium","type":"cilium-cni","agent-socket":"{}"{extra}}}"#,
            self.socket.display()
        )
    }

    pub(crate) fn refuse_endpoints(&self, refuse: bool) {
        self.datapath.refuse.store(refuse, Ordering::Relaxed);
    }

    /// Addresses in use that no endpoint has, the router's aside.
    pub(crate) async fn leases(&self) -> usize {
        let mut client = self.client().await;
        let used = client.status().await.unwrap().ipam.allocations.len();
        used - client.endpoints().await.unwrap().len() - 1
    }
}

/// From here on a second lasts as long as what has to be done in it. What comes by a socket takes ten milliseconds, or the clock
/// would be at the next limit before.
pub(crate) fn hurry() {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
}

/// [`Fake`], or a datapath that takes no endpoint.
#[derive(Debug, Default)]
pub(crate) struct Moody {
    pub(crate) fake: Fake,
    refuse: AtomicBool,
    lost: AtomicBool,
}

impl Moody {
    /// From now on there are no maps to read.
    pub(crate) fn lose(&self) {
        self.lost.store(true, Ordering::Relaxed);
    }
}

impl Datapath for Moody {
    fn is_active(&self) -> bool {
        self.fake.is_active()
    }

    fn activate(&self) -> Result<(), Error> {
        self.fake.activate()
    }

    fn upsert_endpoint(&self, endpoint: &Endpoint) -> Result<(), Error> {
        if self.refuse.load(Ordering::Relaxed) {
            return Err(Error::Config("the map is full".to_owned()));
        }
        self.fake.upsert_endpoint(endpoint)
    }

    fn remove_endpoint(&self, id: u16) -> Result<(), Error> {
        self.fake.remove_endpoint(id)
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        if self.lost.load(Ordering::Relaxed) {
            return Err(Error::Config("the map is gone".to_owned()));
        }
        self.fake.endpoints()
    }

    fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        self.fake.tenants()
    }

    fn upsert_ip(&self, prefix: Ipv4Net, entry: IpEntry) -> Result<(), Error> {
        self.fake.upsert_ip(prefix, entry)
    }

    fn remove_ip(&self, prefix: Ipv4Net) -> Result<(), Error> {
        self.fake.remove_ip(prefix)
    }

    fn ips(&self) -> Result<Vec<(Ipv4Net, IpEntry)>, Error> {
        self.fake.ips()
    }

    fn upsert_node(&self, node: &datapath::Node) -> Result<(), Error> {
        self.fake.upsert_node(node)
    }

    fn remove_node(&self, ip: Ipv4Addr) -> Result<(), Error> {
        self.fake.remove_node(ip)
    }

    fn nodes(&self) -> Result<Vec<datapath::Node>, Error> {
        self.fake.nodes()
    }

    fn upsert_service(&self, service: &Service) -> Result<(), Error> {
        self.fake.upsert_service(service)
    }

    fn remove_service(&self, frontend: Frontend) -> Result<(), Error> {
        self.fake.remove_service(frontend)
    }

    fn numbered_services(&self) -> Result<Vec<(u32, Service)>, Error> {
        self.fake.numbered_services()
    }

    fn set_policy(&self, id: u32, entries: &BTreeMap<PolicyKey, PolicyEntry>) -> Result<(), Error> {
        self.fake.set_policy(id, entries)
    }

    fn update_policy(
        &self,
        id: u32,
        upserts: &[(PolicyKey, PolicyEntry)],
        removes: &[PolicyKey],
    ) -> Result<(), Error> {
        self.fake.update_policy(id, upserts, removes)
    }

    fn remove_policy(&self, id: u32) -> Result<(), Error> {
        self.fake.remove_policy(id)
    }

    fn policies(&self) -> Result<Vec<u32>, Error> {
        self.fake.policies()
    }

    fn policy(&self, id: u32) -> Result<Option<BTreeMap<PolicyKey, PolicyEntry>>, Error> {
        self.fake.policy(id)
    }

    fn new_epoch(&self) -> Result<(), Error> {
        self.fake.new_epoch()
    }

    fn upsert_block(&self, prefix: Ipv4Net, number: u32) -> Result<(), Error> {
        self.fake.upsert_block(prefix, number)
    }

    fn remove_block(&self, prefix: Ipv4Net) -> Result<(), Error> {
        self.fake.remove_block(prefix)
    }

    fn blocks(&self) -> Result<Vec<(Ipv4Net, u32)>, Error> {
        self.fake.blocks()
    }

    fn flows(&self) -> Result<Vec<Flow>, Error> {
        self.fake.flows()
    }

    fn is_crowded(&self) -> Result<bool, Error> {
        self.fake.is_crowded()
    }

    fn collect_flows(&self) -> Result<Collected, Error> {
        self.fake.collect_flows()
    }

    fn flush_flows(&self) -> Result<u64, Error> {
        self.fake.flush_flows()
    }

    fn events(&self) -> Result<Box<dyn EventSource>, Error> {
        self.fake.events()
    }

    fn lost_events(&self) -> Result<u64, Error> {
        self.fake.lost_events()
    }

    fn counters(&self) -> Result<Vec<Counter>, Error> {
        self.fake.counters()
    }

    fn map_operations(&self) -> Vec<MapOperations> {
        self.fake.map_operations()
    }

    fn map_pressure(&self) -> Result<Vec<MapPressure>, Error> {
        self.fake.map_pressure()
    }

    fn device_mtu(&self) -> u32 {
        self.fake.device_mtu()
    }

    fn pod_mtu(&self) -> u32 {
        self.fake.pod_mtu()
    }
}
