//! kube-proxy in its nftables mode, on a cluster of its own beside the measured one.
//!
//! That cluster has no network for pods, and needs none: a process of one node asks, a process of another answers.

use std::fs::{self, File};
use std::io::Write;
use std::process::{Child, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::bench::node::{Place, shell};
use crate::bench::path::pods::{NAMESPACE, workers};
use crate::lab::Lab;
use crate::{home, process, programs};

/// A cluster that ends with this value.
#[derive(Debug)]
struct Cluster(Lab);

impl Drop for Cluster {
    fn drop(&mut self) {
        // Nobody can act on a failure here; the next run goes on with what is left.
        let _down = process::output(self.0.command().arg("down"));
    }
}

/// The cluster, and kube-proxy on its first worker; both go with this value.
#[derive(Debug)]
pub(super) struct KubeProxy {
    pub(super) client: String,
    pub(super) server: String,
    proxy: Option<Child>,
    kubeconfig: NamedTempFile,
    cluster: Cluster,
}

impl KubeProxy {
    /// Builds it, starts a cluster beside `lab`, and runs it there. What it says is in the file that is printed.
    pub(super) fn beside(lab: &Lab) -> Result<Self> {
        programs::build(&["kube-proxy"])?;
        let cluster = Cluster(Lab::named(&lab.beside("kube-proxy"))?);
        let lab = &cluster.0;
        eprintln!("… a cluster for kube-proxy: {}", lab.name());
        let mut up = lab.command();
        process::output(up.args(["up", "--workers", "2", "--images", "essential"]))?;
        let [client, server] = workers(lab)?;
        namespace(lab)?;
        let kubeconfig = kubeconfig(lab)?;
        // Ports of the flows that are watched come back after twenty seconds, and shall be new ones then.
        let forget = "echo 5 > /proc/sys/net/netfilter/nf_conntrack_udp_timeout";
        shell(lab, &client, forget)?;
        let mut peer = Self {
            client,
            server,
            proxy: None,
            kubeconfig,
            cluster,
        };
        peer.proxy = Some(peer.start()?);
        Ok(peer)
    }

    pub(super) fn lab(&self) -> &Lab {
        &self.cluster.0
    }

    fn start(&self) -> Result<Child> {
        let log = home::cache_folder("logs")?.join("kube-proxy.log");
        let said = File::create(&log).with_context(|| format!("make {}", log.display()))?;
        eprintln!("… kube-proxy on {}; log: {}", self.client, log.display());
        let program = home::cache_folder("bin")?.join("kube-proxy");
        let mut command = self.lab().command();
        command
            .args(["exec", &self.client, "--"])
            .arg(program)
            .arg(format!("--kubeconfig={}", self.kubeconfig.path().display()))
            .arg(format!("--hostname-override={}", self.client))
            .args([
                "--proxy-mode=nftables",
                // The machine's connection table is not its own to size.
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
            ]);
        let copy = said.try_clone().context("open the log once more")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(said)
            .stderr(copy)
            .spawn();
        child.context("start kube-proxy")
    }

    /// Where a process asks.
    pub(super) fn from(&self) -> Place {
        Place::Node(self.client.clone())
    }

    /// Where a process answers.
    pub(super) fn to(&self) -> Place {
        Place::Node(self.server.clone())
    }
}

/// That of the measured Service, and of pods on a cluster that has any.
fn namespace(lab: &Lab) -> Result<()> {
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    lab.hand_over("apply", &[object])
}

/// As the lab's, with the API server where nodes find it. Only its owner may read it.
fn kubeconfig(lab: &Lab) -> Result<NamedTempFile> {
    let control_plane = lab.node_ip(&lab.node_name("control-plane"))?;
    let text = fs::read(lab.kubeconfig()).context("read the cluster's kubeconfig")?;
    let mut config: Value =
        serde_json::from_slice(&text).context("read the cluster's kubeconfig")?;
    config["clusters"][0]["cluster"]["server"] = json!(format!("https://{control_plane}:6443"));
    // A node sees this folder under its path on the machine.
    let file = NamedTempFile::new_in(home::cache_folder("bench")?);
    let mut file = file.context("make a file for a kubeconfig")?;
    file.write_all(config.to_string().as_bytes())
        .context("copy the kubeconfig")?;
    Ok(file)
}

impl Drop for KubeProxy {
    fn drop(&mut self) {
        if let Some(proxy) = &mut self.proxy {
            let _ended = proxy.kill();
            let _reaped = proxy.wait();
        }
    }
}
