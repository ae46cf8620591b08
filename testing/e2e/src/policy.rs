//! Policies in a playground, and what they let through: tables of who reaches whom, held until they are true.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{
    Scene, agent,
    pods::{HTTP, Playground, Talker, UDP},
    wait::{Progress, until},
};

/// Time in which a policy, a label or a new pod counts on every node.
pub const EFFECTIVE: Duration = Duration::from_secs(15);

/// How long a probe waits before it calls a packet dropped.
const PATIENCE: &str = "--timeout=1s";

/// What became of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It was answered.
    Open,
    /// Nothing came back.
    Dropped,
}

/// One cell of a table: who, to where, and whether.
#[derive(Clone, Debug)]
pub struct Cell {
    from: Talker,
    host: String,
    port: u16,
    protocol: &'static str,
    want: Reach,
}

impl Cell {
    /// Over TCP to an address.
    pub fn tcp(from: &Talker, host: &impl ToString, port: u16, want: Reach) -> Self {
        Self {
            from: from.clone(),
            host: host.to_string(),
            port,
            protocol: "tcp",
            want,
        }
    }

    /// The same over UDP.
    #[must_use]
    pub fn over_udp(self) -> Self {
        Self {
            protocol: "udp",
            port: UDP,
            ..self
        }
    }
}

/// `from` reaches the talker `to`.
pub fn open(from: &Talker, to: &Talker) -> Cell {
    Cell::tcp(from, &to.ip, HTTP, Reach::Open)
}

/// `from` does not reach the talker `to`.
pub fn dropped(from: &Talker, to: &Talker) -> Cell {
    Cell::tcp(from, &to.ip, HTTP, Reach::Dropped)
}

impl Playground<'_> {
    /// Applies a NetworkPolicy; `spec` is YAML in one line.
    pub fn network_policy(&self, name: &str, spec: &str) -> Result<()> {
        self.policy("networking.k8s.io/v1", "NetworkPolicy", name, spec)
    }

    /// Applies a CiliumNetworkPolicy; `spec` is YAML in one line.
    pub fn cilium_policy(&self, name: &str, spec: &str) -> Result<()> {
        self.policy("cilium.io/v2", "CiliumNetworkPolicy", name, spec)
    }

    fn policy(&self, version: &str, kind: &str, name: &str, spec: &str) -> Result<()> {
        let namespace = &self.namespace;
        let text = format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
        );
        self.scene
            .apply(&text)
            .map(drop)
            .with_context(|| format!("{kind} {namespace}/{name}"))
    }

    /// Deletes a policy, as `KIND/NAME`.
    pub fn delete_policy(&self, object: &str) -> Result<()> {
        let arguments = [
            "delete",
            "--ignore-not-found",
            "--namespace",
            &self.namespace,
            object,
        ];
        self.scene.kubectl(&arguments).map(drop)
    }

    /// Puts labels on a pod, `KEY=VALUE` with spaces between them, in one write.
    pub fn label(&self, pod: &str, labels: &str) -> Result<()> {
        let namespace = [
            "label",
            "pod",
            "--overwrite",
            "--namespace",
            &self.namespace,
        ];
        let mut arguments = namespace.to_vec();
        arguments.push(pod);
        arguments.extend(labels.split(' '));
        self.scene.kubectl(&arguments).map(drop)
    }

    /// Tries once. A refusal or an unknown name is neither open nor dropped, but an error.
    fn probe(&self, cell: &Cell) -> Result<Reach> {
        let address = format!("{}:{}", cell.host, cell.port);
        let protocol = format!("--protocol={}", cell.protocol);
        let argv = ["/agnhost", "connect", &address, PATIENCE, &protocol];
        match self.exec(&cell.from, &argv) {
            Ok(_) => Ok(Reach::Open),
            Err(error) if format!("{error:#}").contains("TIMEOUT") => Ok(Reach::Dropped),
            Err(error) => Err(error),
        }
    }

    /// Cells that are not as wanted, in words.
    fn wrong(&self, cells: &[Cell]) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for cell in cells {
            let is = self.probe(cell)?;
            if is != cell.want {
                let Cell {
                    from,
                    host,
                    port,
                    protocol,
                    want,
                } = cell;
                wrong.push(format!(
                    "{} → {protocol}://{host}:{port} is {is:?}, not {want:?}",
                    from.name
                ));
            }
        }
        Ok(wrong)
    }

    /// Waits until every cell is as wanted, and looks once more: what holds for a moment only does not hold.
    pub async fn holds(&self, what: &str, cells: &[Cell]) -> Result<()> {
        self.holds_within(EFFECTIVE, what, cells).await
    }

    /// As [`Self::holds`], where what decides comes from further away.
    pub async fn holds_within(&self, limit: Duration, what: &str, cells: &[Cell]) -> Result<()> {
        until(what, limit, async || {
            let wrong = self.wrong(cells)?;
            Ok(Progress::when(wrong.is_empty(), wrong.join("; ")))
        })
        .await?;
        let wrong = self.wrong(cells)?;
        if !wrong.is_empty() {
            bail!("{what}: held once and then no more: {}", wrong.join("; "));
        }
        Ok(())
    }
}

/// Moves a node's address pool on until `address` is the next to be handed out: the agent gives every free address once
/// before it gives one again. Uses the agent's own socket, as a CNI plugin does that fails and takes its request back.
pub fn make_next(scene: &Scene, node: &str, address: &str) -> Result<()> {
    let mut before = None;
    let mut round = Vec::new();
    for _ in 0..600 {
        let got = lease_and_return(scene, node)?;
        if before.as_ref() == Some(&got) {
            return Ok(());
        }
        if got == address && before.is_none() {
            before = round.last().cloned();
        }
        round.push(got);
    }
    bail!("address {address} of node {node} does not come up: is its pod gone?")
}

fn lease_and_return(scene: &Scene, node: &str) -> Result<String> {
    let lease = "ipam?family=ipv4&expiration=true&owner=e2e";
    let answer = agent::curl(scene, node, lease, &["-X", "POST"])?;
    let answer: serde_json::Value = serde_json::from_str(&answer).context("the agent's answer")?;
    let address = answer["address"]["ipv4"]
        .as_str()
        .with_context(|| format!("no address in {answer}"))?;
    agent::curl(scene, node, &format!("ipam/{address}"), &["-X", "DELETE"])?;
    Ok(address.to_owned())
}
