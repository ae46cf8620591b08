//! What the agent is told: arguments, environment, and the folder where the ConfigMap `cilium-config` is mounted.

mod hubble;
mod load_balancer;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use cilium_api::hubble_metrics::HubbleMetricError;
use cilium_api::names;
use datapath::{Maglev, Routing};
use ipnet::Ipv4Net;
use sha2::{Digest, Sha256};

pub use self::hubble::{Hubble, HubbleListen};

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read configuration folder {path}; mount the ConfigMap cilium-config there")]
    Folder {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("key {key} of ConfigMap cilium-config has the value {value:?}; it must be {wanted}")]
    Value {
        key: &'static str,
        value: String,
        wanted: &'static str,
    },
    #[error("cannot follow key hubble-metrics of ConfigMap cilium-config")]
    HubbleMetrics(#[from] HubbleMetricError),
    #[error(
        "the node's name is not known; set the environment variable K8S_NODE_NAME from spec.nodeName"
    )]
    NodeName,
}

/// Arguments of the program. What concerns the whole cluster is in the ConfigMap instead.
#[derive(Clone, Debug, clap::Parser)]
#[command(version, about = "The node agent of GlooNetwork's Cilium")]
pub struct Arguments {
    /// Folder with one file per key of the ConfigMap cilium-config.
    #[arg(long, default_value = "/tmp/cilium/config-map")]
    pub config_dir: PathBuf,
    /// This node's name in Kubernetes.
    #[arg(long, env = "K8S_NODE_NAME")]
    pub node_name: Option<String>,
    /// This node's address on its own network: tunnels end here.
    #[arg(long, env = "K8S_NODE_IP")]
    pub node_ip: Ipv4Addr,
    /// Credentials file, for running outside a pod.
    #[arg(long)]
    pub kubeconfig: Option<PathBuf>,
    /// Name of the agent's own pod, for events about it.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
    #[arg(long, env = "POD_UID")]
    pub pod_uid: Option<String>,
    #[arg(long, env = "CILIUM_K8S_NAMESPACE", default_value = names::NAMESPACE)]
    pub namespace: String,
    /// Folder of socket, state and deletion queue.
    #[arg(long, default_value = names::RUNTIME_DIR)]
    pub runtime_dir: PathBuf,
    /// Mount point of the node's bpffs.
    #[arg(long, default_value = names::BPFFS_ROOT)]
    pub bpf_root: PathBuf,
    /// The node's cgroup v2 root, or a folder with it as `unified`.
    #[arg(long, default_value = "/host/sys/fs/cgroup")]
    pub cgroup_root: PathBuf,
    /// The node's folder of CNI configuration, to report files of other plugins.
    #[arg(long, default_value = "/host/etc/cni/net.d")]
    pub cni_conf_dir: PathBuf,
}

impl Arguments {
    /// The node's name, also from the variable that older manifests set.
    pub fn node_name(&self) -> Result<String, ConfigError> {
        let fallback = || std::env::var("NODE_NAME").ok();
        let name = self.node_name.clone().or_else(fallback);
        name.filter(|name| !name.is_empty())
            .ok_or(ConfigError::NodeName)
    }
}

/// The ConfigMap's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Of all keys and values, also those we do not know; what [`crate::facts`] tells.
    pub digest: String,
    pub cluster_name: String,
    /// The same on every node, or they do not reach each other's pods.
    pub routing: Routing,
    pub tunnel_port: u16,
    /// For who asks Services from outside; the same on every node, or they choose differently. `None`: at random.
    pub maglev: Option<Maglev>,
    /// The cluster's pod ranges: never masqueraded.
    pub pools: Vec<Ipv4Net>,
    /// Further ranges whose hosts know the way back to pods; without a tunnel only.
    pub native_ranges: Vec<Ipv4Net>,
    /// Bytes; `None`: measured.
    pub mtu: Option<u32>,
    /// Empty: the device of the node's address.
    pub devices: Vec<String>,
    pub metrics: Option<SocketAddr>,
    pub health: SocketAddr,
    /// Where load balancers ask whether this node balances Services; `None`: nowhere.
    pub service_health: Option<SocketAddr>,
    /// Whether nodes probe each other and answer.
    pub health_checking: bool,
    pub debug: bool,
    /// `None`: flows are not shown.
    pub hubble: Option<Hubble>,
}

impl Config {
    /// Keys we do not know are another component's.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Folder {
            path: folder.to_owned(),
            source,
        };
        let mut values = BTreeMap::new();
        for entry in std::fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            // A mounted ConfigMap holds links to files, and folders whose names begin with two dots.
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            if let Some(name) = name.filter(|name| !name.starts_with("..") && path.is_file()) {
                values.insert(name, std::fs::read_to_string(&path).map_err(failed)?);
            }
        }
        Self::parse(&values)
    }

    pub fn parse(values: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let digest = digest(values);
        let values = Values(values);
        let (routing, native_ranges) = routing(&values)?;
        values.one_of(
            "tunnel-protocol",
            "vxlan",
            "vxlan, the only protocol of this release",
        )?;
        let mtu: u32 = values.parse("mtu", 0, "a number of bytes, 0 to measure it")?;
        Ok(Self {
            digest,
            cluster_name: values.text("cluster-name").unwrap_or("default").to_owned(),
            routing,
            native_ranges,
            tunnel_port: values.parse("tunnel-port", names::TUNNEL_PORT, "a UDP port")?,
            maglev: load_balancer::read(&values)?,
            pools: values.list(
                "cluster-pool-ipv4-cidr",
                "IPv4 ranges such as 10.244.0.0/16",
            )?,
            mtu: (mtu != 0).then_some(mtu),
            devices: values.list("devices", "names of network devices")?,
            metrics: values.listen("prometheus-serve-addr")?,
            service_health: values.listen("kube-proxy-replacement-healthz-bind-address")?,
            health: SocketAddr::from((
                Ipv4Addr::UNSPECIFIED,
                values.parse("agent-health-port", names::AGENT_HEALTH_PORT, "a TCP port")?,
            )),
            health_checking: values.parse("enable-health-checking", true, "true or false")?,
            debug: values.parse("debug", false, "true or false")?,
            hubble: hubble::read(&values)?,
        })
    }
}

/// Upstream's keys. Routes that somebody else sets are not offered: what is not on the nodes' own network has the tunnel.
fn routing(values: &Values<'_>) -> Result<(Routing, Vec<Ipv4Net>), ConfigError> {
    let mode = values.text("routing-mode").unwrap_or("tunnel");
    let ranges = values.list("ipv4-native-routing-cidr", "IPv4 ranges such as 10.0.0.0/8")?;
    match mode {
        "tunnel" => Ok((Routing::Tunnel, Vec::new())),
        "native" => {
            if !values.parse("auto-direct-node-routes", false, "true or false")? {
                return Err(wrong(
                    "auto-direct-node-routes",
                    "false",
                    "true where routing-mode is native: agents set the routes between nodes themselves",
                ));
            }
            Ok((Routing::Native, ranges))
        }
        _ => Err(wrong("routing-mode", mode, "tunnel or native")),
    }
}

fn digest(values: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    for (key, value) in values {
        for text in [key, value] {
            hash.update(text);
            hash.update([0]);
        }
    }
    format!("{:x}", hash.finalize())
}

struct Values<'a>(&'a BTreeMap<String, String>);

impl Values<'_> {
    fn text(&self, key: &'static str) -> Option<&str> {
        self.0
            .get(key)
            .map(|text| text.trim())
            .filter(|text| !text.is_empty())
    }

    fn parse<T: FromStr>(
        &self,
        key: &'static str,
        default: T,
        wanted: &'static str,
    ) -> Result<T, ConfigError> {
        self.text(key).map_or(Ok(default), |text| {
            text.parse().map_err(|_| wrong(key, text, wanted))
        })
    }

    fn list<T: FromStr>(
        &self,
        key: &'static str,
        wanted: &'static str,
    ) -> Result<Vec<T>, ConfigError> {
        let text = self.text(key).unwrap_or_default();
        text.split([' ', ',', '\n'])
            .filter(|item| !item.is_empty())
            .map(|item| item.parse().map_err(|_| wrong(key, text, wanted)))
            .collect()
    }

    /// Go's form `:9962` means every address.
    fn listen(&self, key: &'static str) -> Result<Option<SocketAddr>, ConfigError> {
        let parse = |text: &str| {
            let every = text.starts_with(':').then(|| format!("0.0.0.0{text}"));
            every.as_deref().unwrap_or(text).parse()
        };
        self.text(key)
            .map(|text| {
                parse(text).map_err(|_| wrong(key, text, "an address and port such as :9962"))
            })
            .transpose()
    }

    fn one_of(
        &self,
        key: &'static str,
        only: &str,
        wanted: &'static str,
    ) -> Result<(), ConfigError> {
        match self.text(key) {
            Some(text) if text != only => Err(wrong(key, text, wanted)),
            _ => Ok(()),
        }
    }
}

fn wrong(key: &'static str, value: &str, wanted: &'static str) -> ConfigError {
    ConfigError::Value {
        key,
        value: value.to_owned(),
        wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let values = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Config::parse(&values)
    }

    #[test]
    fn an_empty_config_map_means_ciliums_defaults() {
        let config = parse(&[]).unwrap();
        assert_eq!(config.tunnel_port, 8472);
        assert_eq!(config.health, "0.0.0.0:9879".parse().unwrap());
        assert_eq!((config.mtu, config.metrics), (None, None));
        assert_eq!(config.service_health, None);
        assert!(config.health_checking);
    }

    #[test]
    fn values_are_read_in_the_forms_the_chart_writes() {
        let config = parse(&[
            ("cluster-pool-ipv4-cidr", "10.244.0.0/16 10.245.0.0/16"),
            ("prometheus-serve-addr", ":9962"),
            (
                "kube-proxy-replacement-healthz-bind-address",
                "10.0.0.1:10256",
            ),
            ("mtu", "1400\n"),
            ("debug", "true"),
            ("enable-health-checking", "false"),
            ("some-other-components-key", "x"),
        ])
        .unwrap();
        assert_eq!(config.pools.len(), 2);
        assert_eq!(config.metrics, Some("0.0.0.0:9962".parse().unwrap()));
        assert_eq!(
            config.service_health,
            Some("10.0.0.1:10256".parse().unwrap())
        );
        assert_eq!(config.mtu, Some(1400));
        assert!(config.debug && !config.health_checking);
    }

    #[test]
    fn a_wrong_value_names_its_key_and_what_it_must_be() {
        for (key, value) in [
            ("tunnel-port", "70000"),
            ("mtu", "big"),
            ("cluster-pool-ipv4-cidr", "10.244.0.0/33"),
            ("prometheus-serve-addr", "9962"),
            ("kube-proxy-replacement-healthz-bind-address", ":healthz"),
            ("routing-mode", "hybrid"),
            ("auto-direct-node-routes", "yes"),
            ("ipv4-native-routing-cidr", "10.0.0.0/33"),
            ("tunnel-protocol", "geneve"),
            ("enable-health-checking", "no"),
        ] {
            let native = ("routing-mode", "native");
            let routes = ("auto-direct-node-routes", "true");
            let error = parse(&[native, routes, (key, value)]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(key) && text.contains(value), "{text}");
        }
    }

    #[test]
    fn packets_go_without_a_tunnel_when_agents_may_set_the_routes_for_that() {
        let native = ("routing-mode", "native");
        let range = ("ipv4-native-routing-cidr", "10.0.0.0/8");
        let config = parse(&[native, ("auto-direct-node-routes", "true"), range]).unwrap();
        assert_eq!(config.routing, Routing::Native);
        assert_eq!(config.native_ranges, ["10.0.0.0/8".parse().unwrap()]);
        let error = parse(&[native]).unwrap_err().to_string();
        assert!(error.contains("auto-direct-node-routes"), "{error}");
        let config = parse(&[range]).unwrap();
        assert_eq!(
            (config.routing, config.native_ranges),
            (Routing::Tunnel, vec![])
        );
    }

    #[test]
    fn flows_are_shown_when_asked_for_and_on_a_port_only_with_certificates() {
        assert_eq!(parse(&[]).unwrap().hubble, None);
        let on = ("enable-hubble", "true");
        let socket_only = parse(&[on]).unwrap().hubble.unwrap();
        assert_eq!((socket_only.listen, socket_only.capacity), (None, 4095));
        let open = parse(&[on, ("hubble-listen-address", ":4244")]).unwrap_err();
        assert!(open.to_string().contains("hubble-tls-cert-file"), "{open}");
        let plain = parse(&[on, ("hubble-disable-tls", "true")]).unwrap_err();
        assert!(plain.to_string().contains("mutual TLS"), "{plain}");
    }

    #[test]
    fn what_is_counted_of_flows_is_read_from_one_line_or_several() {
        let on = ("enable-hubble", "true");
        assert_eq!(parse(&[on]).unwrap().hubble.unwrap().metrics, []);
        let text = "drop:sourceContext=pod|ip  tcp\nflow:labelsContext=source_pod,source_ip\n";
        let metrics = parse(&[on, ("hubble-metrics", text)]).unwrap();
        let metrics = metrics.hubble.unwrap().metrics;
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name.word()).collect();
        assert_eq!(names, ["drop", "tcp", "flow"]);
        assert_eq!(metrics[2].labels.len(), 2);
        let refused = parse(&[on, ("hubble-metrics", "drop httpV2")]).unwrap_err();
        let refused = cilium_cni::error::chain(&refused);
        assert!(refused.contains("key hubble-metrics"), "{refused}");
        assert!(refused.contains("metric httpV2"), "{refused}");
    }

    #[test]
    fn flows_are_written_to_a_file_with_ciliums_defaults_where_one_is_named() {
        let on = ("enable-hubble", "true");
        assert_eq!(parse(&[on]).unwrap().hubble.unwrap().export, None);
        let path = ("hubble-export-file-path", "/var/log/events.log");
        let export = parse(&[on, path]).unwrap().hubble.unwrap().export.unwrap();
        assert_eq!((export.max_bytes, export.backups), (10 << 20, 5));
        assert_eq!(export.group, None);
        for (key, value) in [
            ("hubble-export-file-path", "events.log"),
            ("hubble-export-file-max-size-mb", "0"),
            ("hubble-export-file-max-backups", "many"),
            ("hubble-export-file-group", "wheel"),
        ] {
            let text = parse(&[on, path, (key, value)]).unwrap_err().to_string();
            assert!(text.contains(key) && text.contains(value), "{text}");
        }
    }

    #[test]
    fn a_mounted_config_map_is_read_through_its_links() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("..data")).unwrap();
        std::fs::write(folder.path().join("cluster-name"), "west\n").unwrap();
        assert_eq!(Config::read(folder.path()).unwrap().cluster_name, "west");
    }
}
