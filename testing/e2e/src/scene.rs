//! The cluster a test runs against.

use std::{
    fmt,
    io::Write,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, bail};
use gloonet_lab::Cluster;
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, Config, ResourceExt,
    config::{KubeConfigOptions, Kubeconfig},
};

/// Variable with the name of the lab's cluster, as the lab's own command line reads it.
const CLUSTER: &str = "GLOONET_LAB_CLUSTER";

/// A running cluster of the lab and an administrator's client for it.
pub struct Scene {
    /// The lab's side: nodes, links, packets.
    pub lab: Cluster,
    /// The API server's side.
    pub client: Client,
}

impl fmt::Debug for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scene")
            .field("lab", &self.lab)
            .finish_non_exhaustive()
    }
}

impl Scene {
    /// The cluster named by the environment, `default` without.
    pub async fn open() -> Result<Self> {
        let name = std::env::var(CLUSTER).ok().filter(|n| !n.is_empty());
        let name = name.unwrap_or_else(|| "default".to_owned());
        Self::named(&name).await
    }

    /// A workload cluster beside this one, by the name it is registered under (`./dev up --clusters N`).
    pub async fn beside(&self, name: &str) -> Result<Self> {
        let first = self.lab.name().to_string();
        Self::named(&if first == "default" {
            name.to_owned()
        } else {
            format!("{first}-{name}")
        })
        .await
    }

    async fn named(name: &str) -> Result<Self> {
        let lab = Cluster::open(name).with_context(|| format!("cluster {name} of the lab"))?;
        if !lab.exists() {
            bail!("cluster {name} does not run; start it with ./dev up");
        }
        let client = Client::try_from(config(&lab).await?).context("a client for the cluster")?;
        Ok(Self { lab, client })
    }

    /// A client that shows `token` instead of the administrator's certificate.
    pub async fn client_with_token(&self, token: String) -> Result<Client> {
        let mut config = config(&self.lab).await?;
        config.auth_info = kube::config::AuthInfo {
            token: Some(token.into()),
            ..kube::config::AuthInfo::default()
        };
        Client::try_from(config).context("a client with a token")
    }

    /// Names of the nodes, the control plane's first.
    pub async fn nodes(&self) -> Result<Vec<String>> {
        let nodes = Api::<Node>::all(self.client.clone())
            .list(&kube::api::ListParams::default())
            .await?;
        let mut names: Vec<String> = nodes.iter().map(ResourceExt::name_any).collect();
        names.sort_by_key(|n| (!n.contains("control-plane"), n.clone()));
        Ok(names)
    }

    /// Names of the nodes pods are scheduled to.
    pub async fn workers(&self) -> Result<Vec<String>> {
        Ok(self
            .nodes()
            .await?
            .into_iter()
            .filter(|n| !n.contains("control-plane"))
            .collect())
    }

    /// InternalIP of a node.
    pub async fn node_ip(&self, name: &str) -> Result<String> {
        let node = Api::<Node>::all(self.client.clone()).get(name).await?;
        let addresses = node.status.and_then(|s| s.addresses).unwrap_or_default();
        let internal = addresses.into_iter().find(|a| a.type_ == "InternalIP");
        internal
            .map(|a| a.address)
            .with_context(|| format!("node {name} has no InternalIP"))
    }

    /// What kubectl prints; an error with what it complains about otherwise.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .lab
            .kubectl()
            .args(arguments)
            .output()
            .context("run kubectl")?;
        stdout(&output).with_context(|| format!("kubectl {}", arguments.join(" ")))
    }

    /// What kubectl complains about; an error when it does not.
    pub fn kubectl_refused(&self, arguments: &[&str], input: &str) -> Result<String> {
        let output = self.piped(arguments, input)?;
        if output.status.success() {
            bail!(
                "kubectl {} was not refused: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&output.stdout)
            );
        }
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Gives `input` to `kubectl apply --server-side -f -`.
    pub fn apply(&self, input: &str) -> Result<String> {
        let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        stdout(&self.piped(&arguments, input)?).context("kubectl apply")
    }

    fn piped(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = self.lab.kubectl();
        command.args(arguments);
        given(command, input).context("kubectl")
    }

    /// What a program prints in a node that is given `input`. What must not be seen goes there, and not among the arguments.
    pub fn in_node_given(&self, node: &str, argv: &[&str], input: &str) -> Result<String> {
        let words = argv.iter().map(ToString::to_string).collect();
        let output = given(self.lab.node(node)?.command(words)?, input)?;
        stdout(&output).with_context(|| format!("{} in node {node}", argv.join(" ")))
    }

    /// What a program prints in a node.
    pub fn in_node(&self, node: &str, argv: &[&str]) -> Result<String> {
        let output = self.lab.node(node)?.exec(argv.iter().copied())?;
        stdout(&output).with_context(|| format!("{} in node {node}", argv.join(" ")))
    }
}

/// Runs a program that reads `input`.
fn given(mut command: Command, input: &str) -> Result<Output> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().context("run it")?;
    let mut stdin = child.stdin.take().context("its input")?;
    stdin.write_all(input.as_bytes()).context("write to it")?;
    drop(stdin);
    child.wait_with_output().context("wait for it")
}

async fn config(lab: &Cluster) -> Result<Config> {
    // Several rustls providers may be linked in; whichever is installed first serves.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let path = lab.kubeconfig();
    let kubeconfig =
        Kubeconfig::read_from(&path).with_context(|| format!("read {}", path.display()))?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .context("use the kubeconfig")
}

fn stdout(output: &Output) -> Result<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "{}: {}{text}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(text)
}
