//! A healthy cluster to take one fault at a time from.

use std::collections::BTreeMap;

use gloo_record::{
    Analyzer, Certificates, CiliumAgents, CiliumConfig, CiliumOperator, CniConfiguration, Counts,
    GlooComponents, Hubble, Images, NetworkPolicies, Nodes, Outcome, PodState, Proxies, Record,
    Report, SCHEMA,
    certificates::{Certificate, Place, Trust},
    cilium_agents::{Agent, Health, Metrics},
    cilium_config::Running,
    cilium_operator::Lease,
    cni_configuration, gloo_components, images, network_policies, nodes, proxies,
};
use jiff::{SignedDuration, Timestamp};

use crate::{
    Answers, Binding, Cluster, Finding, Isolation, Query, Rule, Sample, Snapshot, Subject, Unknown,
    View, queries,
};

/// Nodes of the healthy cluster.
pub const NODES: [&str; 2] = ["node-a", "node-b"];
const CLUSTER: &str = "west";

/// What is known of one cluster, to be changed by a test.
#[derive(Clone, Debug)]
pub struct Scene {
    pub cluster: Cluster,
    pub answers: Answers,
    pub now: Timestamp,
}

macro_rules! changes {
    ($($method:ident, $variant:ident, $record:ty;)*) => {
        $(
            /// Changes what the analyzer found.
            #[must_use]
            pub fn $method(mut self, change: impl FnOnce(&mut $record)) -> Self {
                if let Some(Ok(report)) = self.cluster.reports.get_mut(&Analyzer::$variant)
                    && let Outcome::Found(Record::$variant(record)) = &mut report.outcome
                {
                    change(record);
                }
                self
            }
        )*
    };
}

impl Scene {
    changes! {
        agents, CiliumAgents, CiliumAgents;
        config, CiliumConfig, CiliumConfig;
        operator, CiliumOperator, CiliumOperator;
        cni, CniConfiguration, CniConfiguration;
        certificates, Certificates, Certificates;
        gloo, GlooComponents, GlooComponents;
        hubble, Hubble, Hubble;
        images, Images, Images;
        policies, NetworkPolicies, NetworkPolicies;
        nodes, Nodes, Nodes;
        proxies, Proxies, Proxies;
    }

    /// The cluster that manages, with nothing wrong.
    pub fn healthy() -> Self {
        let now = now();
        let mut reports = BTreeMap::new();
        for record in records() {
            let analyzer = record.analyzer();
            reports.insert(analyzer, Ok(report(analyzer, Outcome::Found(record), now)));
        }
        Self {
            cluster: Cluster {
                name: CLUSTER.to_owned(),
                home: true,
                reports,
                snapshot: Some(Ok(snapshot())),
            },
            answers: queries()
                .into_iter()
                .map(|query| (query.name, Ok(vec![sample(0.0)])))
                .collect(),
            now,
        }
    }

    /// A cluster of which nothing is known.
    pub fn blind() -> Self {
        Self {
            cluster: Cluster {
                name: CLUSTER.to_owned(),
                home: true,
                ..Cluster::default()
            },
            answers: Answers::new(),
            now: now(),
        }
    }

    /// A cluster of which every analyzer failed.
    pub fn failed(why: &str) -> Self {
        let mut scene = Self::healthy();
        for analyzer in Analyzer::ALL {
            let failed = report(analyzer, Outcome::Failed(why.to_owned()), scene.now);
            scene.cluster.reports.insert(analyzer, Ok(failed));
        }
        scene
    }

    /// The same, looked at later.
    #[must_use]
    pub fn hours_later(mut self, hours: i64) -> Self {
        self.now += SignedDuration::from_hours(hours);
        self
    }

    /// Prometheus answers a query with this.
    #[must_use]
    pub fn answer(mut self, query: &'static Query, samples: &[Sample]) -> Self {
        self.answers.insert(query.name, Ok(samples.to_vec()));
        self
    }

    /// Changes what the agent told the server.
    #[must_use]
    pub fn snapshot(mut self, change: impl FnOnce(&mut Snapshot)) -> Self {
        if let Some(Ok(snapshot)) = &mut self.cluster.snapshot {
            change(snapshot);
        }
        self
    }

    /// The analyzer's last run failed.
    #[must_use]
    pub fn without(mut self, analyzer: Analyzer, why: &str) -> Self {
        let failed = report(analyzer, Outcome::Failed(why.to_owned()), self.now);
        self.cluster.reports.insert(analyzer, Ok(failed));
        self
    }

    pub fn view(&self) -> View<'_> {
        View {
            cluster: &self.cluster,
            answers: &self.answers,
            now: self.now,
        }
    }
}

/// What a rule says; a test that expects findings sees them printed.
pub fn found(rule: &Rule, scene: &Scene) -> Vec<String> {
    match (rule.find)(&scene.view()) {
        Ok(all) => all.iter().map(line).collect(),
        Err(Unknown { why }) => vec![format!("unknown: {why}")],
    }
}

fn line(finding: &Finding) -> String {
    let place = finding
        .cluster
        .as_ref()
        .map(|name| format!("{name}: "))
        .unwrap_or_default();
    format!("{place}{}: {}", finding.target, finding.summary)
}

/// A sample about the cluster.
pub fn sample(value: f64) -> Sample {
    Sample {
        labels: BTreeMap::from([("cluster_name".to_owned(), CLUSTER.to_owned())]),
        value,
    }
}

/// A sample with more labels.
pub fn labelled(value: f64, labels: &[(&str, &str)]) -> Sample {
    let mut sample = sample(value);
    for (name, label) in labels {
        sample
            .labels
            .insert((*name).to_owned(), (*label).to_owned());
    }
    sample
}

fn now() -> Timestamp {
    // A date without meaning; leap years and the like are not what is tested.
    Timestamp::from_second(1_770_000_000).unwrap_or_default()
}

fn report(analyzer: Analyzer, outcome: Outcome, now: Timestamp) -> Report {
    Report {
        schema: SCHEMA,
        run: "run-1".to_owned(),
        taken: now - SignedDuration::from_secs(10),
        interval: 30,
        version: "0.1.0".to_owned(),
        analyzer,
        outcome,
    }
}

fn records() -> Vec<Record> {
    vec![
        Record::CiliumAgents(agents()),
        Record::CiliumConfig(config()),
        Record::CiliumOperator(operator()),
        Record::CniConfiguration(cni()),
        Record::Certificates(Certificates {
            certificates: vec![certificate()],
            unreadable: Vec::new(),
        }),
        Record::GlooComponents(gloo()),
        Record::Hubble(Hubble {
            enabled: true,
            listen_address: Some(":4244".to_owned()),
            ..Hubble::default()
        }),
        Record::Images(Images {
            containers: vec![image()],
            registries: vec!["ghcr.io".to_owned()],
        }),
        Record::NetworkPolicies(NetworkPolicies {
            remarkable: Vec::new(),
            total: 4,
            namespaces: vec![network_policies::Namespace {
                name: "shop".to_owned(),
                pods: 3,
                ingress_isolated: 3,
                egress_isolated: 3,
                default_deny: true,
                system: false,
            }],
        }),
        Record::Nodes(Nodes {
            nodes: NODES.map(node).to_vec(),
        }),
        Record::Proxies(Proxies {
            proxies: vec![proxies::Proxy {
                pod: pod("shop", "envoy-1", NODES[0]),
                image: "envoy:1".to_owned(),
            }],
        }),
    ]
}

/// A pod that runs.
pub fn pod(namespace: &str, name: &str, node: &str) -> PodState {
    PodState {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        node: node.to_owned(),
        ready: true,
        restarts: 0,
        trouble: None,
    }
}

const ALL: Counts = Counts {
    desired: 2,
    ready: 2,
    updated: 2,
    observed: true,
};

fn agents() -> CiliumAgents {
    let agent = |node: &str| Agent {
        pod: pod("kube-system", &format!("cilium-{node}"), node),
        health: Health::Ok,
        metrics: Some(Metrics {
            version: Some("0.1.0".to_owned()),
            controllers_failing: Some(0),
            map_pressure: BTreeMap::from([("ct4_global".to_owned(), 0.1)]),
            policies_too_large: Some(0),
            addresses_used: Some(20),
            addresses_total: Some(254),
            ..Metrics::default()
        }),
        privileged: false,
        capabilities: vec!["BPF".to_owned(), "NET_ADMIN".to_owned()],
    };
    CiliumAgents {
        daemonset: Some(ALL),
        agents: NODES.map(agent).to_vec(),
        unmanaged_pods: Vec::new(),
        unmanaged: 0,
    }
}

fn config() -> CiliumConfig {
    let data = [
        ("debug", "false"),
        ("enable-hubble", "true"),
        ("enable-wireguard", "true"),
        ("kube-proxy-replacement", "true"),
        ("routing-mode", "tunnel"),
    ];
    CiliumConfig {
        data: Some(
            data.map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
        ),
        digest: "d1".to_owned(),
        nodes: NODES
            .map(|node| Running {
                node: node.to_owned(),
                digest: "d1".to_owned(),
            })
            .to_vec(),
        unknown: Vec::new(),
        kube_proxy_nodes: 0,
    }
}

/// A lease that was just renewed.
pub fn lease(name: &str) -> Lease {
    Lease {
        name: name.to_owned(),
        holder: Some(format!("{name}-1")),
        renewed: Some(now()),
        duration: Some(15),
    }
}

fn operator() -> CiliumOperator {
    CiliumOperator {
        deployment: Some(ALL),
        pods: vec![pod("kube-system", "cilium-operator-1", NODES[0])],
        lease: Some(lease("cilium-operator-resource-lock")),
        nodes_without_pod_cidr: Vec::new(),
        nodes_not_ready: Vec::new(),
        pod_cidrs_used: 2,
        pod_cidrs_total: Some(256),
        identities: 30,
    }
}

fn cni() -> CniConfiguration {
    let own = "05-cilium.conflist";
    CniConfiguration {
        nodes: NODES
            .map(|node| cni_configuration::Node {
                node: node.to_owned(),
                files: vec![own.to_owned()],
            })
            .to_vec(),
        unknown: Vec::new(),
        own: own.to_owned(),
    }
}

fn certificate() -> Certificate {
    let day = SignedDuration::from_hours(24);
    Certificate {
        place: Place::Secret {
            namespace: "gloo-mesh".to_owned(),
            name: "relay-server-tls-secret".to_owned(),
            key: "tls.crt".to_owned(),
        },
        subject: "CN=gloo-mesh-mgmt-server.gloo-mesh".to_owned(),
        issuer: "CN=GlooNetwork relay CA".to_owned(),
        not_before: now() - day * 10,
        not_after: now() + day * 80,
        key: "ECDSA P-256".to_owned(),
        key_bits: 256,
        signature: "ecdsa-with-SHA256".to_owned(),
        names: vec!["gloo-mesh-mgmt-server.gloo-mesh".to_owned()],
        authority: false,
        chain: 0,
        fingerprint: "ab".repeat(32),
        trust: Trust::Verified,
        expected_name: Some("gloo-mesh-mgmt-server.gloo-mesh".to_owned()),
    }
}

fn gloo() -> GlooComponents {
    GlooComponents {
        network: Some(gloo_components::Network {
            version: "0.1.0".to_owned(),
            role: "Standalone".to_owned(),
            available: "True".to_owned(),
            message: "all components are healthy".to_owned(),
            paused: None,
            volatile_stores: Vec::new(),
            management_replicas: Some(2),
        }),
        workloads: vec![gloo_components::Workload {
            namespace: "gloo-mesh".to_owned(),
            kind: "Deployment".to_owned(),
            name: "gloo-mesh-agent".to_owned(),
            counts: ALL,
            version: "0.1.0".to_owned(),
            ours: true,
            unlimited: Vec::new(),
        }],
        pods: vec![pod("gloo-mesh", "gloo-mesh-agent-1", NODES[0])],
        leases: vec![lease("gloonet-operator")],
        resources: Vec::new(),
    }
}

fn image() -> images::Container {
    images::Container {
        namespace: "gloo-mesh".to_owned(),
        workload: "Deployment/gloo-mesh-agent".to_owned(),
        container: "gloo-mesh-agent".to_owned(),
        image: "ghcr.io/gloonetwork/gloo-mesh-agent:0.1.0@sha256:aa".to_owned(),
        digests: vec!["sha256:aa".to_owned()],
        pull_policy: "IfNotPresent".to_owned(),
        expected: Some("ghcr.io/gloonetwork/gloo-mesh-agent:0.1.0@sha256:aa".to_owned()),
    }
}

fn node(name: &str) -> nodes::Node {
    let sysctls = [("ipv4.ip_forward", "1"), ("ipv4.conf.all.rp_filter", "0")];
    nodes::Node {
        name: name.to_owned(),
        kernel: "6.12.1".to_owned(),
        os: "Debian 12".to_owned(),
        kubelet: "v1.36.3".to_owned(),
        runtime: "containerd://2.4.2".to_owned(),
        ready: true,
        pressures: Vec::new(),
        pods: 20,
        pod_capacity: 110,
        seen: Some(nodes::Seen {
            clock_ahead_ms: 3,
            device_mtu: 1500,
            pod_mtu: 1450,
            sysctls: sysctls
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            btf: true,
            cgroup2: true,
        }),
    }
}

fn snapshot() -> Snapshot {
    Snapshot {
        admins: vec![Binding {
            name: "cluster-admin".to_owned(),
            subjects: vec![Subject {
                kind: "Group".to_owned(),
                namespace: String::new(),
                name: "system:masters".to_owned(),
            }],
        }],
        isolation: vec![Isolation {
            namespace: "shop".to_owned(),
            name: "shop".to_owned(),
            enabled: true,
            dry_run: false,
        }],
        access_policies: Vec::new(),
        workspaces: vec!["shop".to_owned()],
    }
}
