//! Many clusters at one management server, over real TLS on the loopback: the server here, the agents in a process of their own.
//!
//! The server is the product's: relay, hub, state, translation and pushing. Left out are Redis and the API server (nothing
//! waits for either) and enrolment: certificates are signed beforehand.

pub(crate) mod agents;
mod objects;
mod server;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};

/// How large the fleet is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long, default_value_t = 100)]
    pub(crate) clusters: usize,
    /// Services of each cluster.
    #[arg(long, default_value_t = 2000)]
    pub(crate) services: usize,
    /// Pods of each cluster.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) pods: usize,
    /// Changes whose way from one cluster to another is measured.
    #[arg(long, default_value_t = 50)]
    pub(crate) changes: usize,
}

const PUSHED_MS: f64 = 1000.0;
const CLUSTER_MIB: f64 = 20.0;
const STORM_S: f64 = 60.0;

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let server = server::Server::start(arguments.clusters)?;
    let empty = resident()?;
    let mut agents = Agents::start(&server, arguments)?;
    let objects: f64 = agents.ask("made")?;
    println!(
        "relay: {} clusters with {} services and {} pods each ({objects:.0} objects in all)",
        arguments.clusters, arguments.services, arguments.pods
    );
    println!("{:<52} {:>12} {:>10} {:>8}", "", "ours", "aim", "ratio");
    let warmed: f64 = agents.ask("connect")?;
    row(
        "all connect at once, until every one is warmed",
        warmed,
        "s",
        STORM_S,
    );
    let per_cluster = (resident()? - empty) / f64::from(u32::try_from(arguments.clusters)?);
    row(
        "memory of the server for a cluster",
        per_cluster,
        "MiB",
        CLUSTER_MIB,
    );
    let text = agents.say(&format!("change {}", arguments.changes))?;
    let mut numbers = text.split_whitespace().map(str::parse::<f64>);
    for name in ["p50", "p99"] {
        let number = numbers.next().context("two numbers")??;
        row(
            &format!("a change in one cluster is desired in another, {name}"),
            number,
            "ms",
            PUSHED_MS,
        );
    }
    let back: f64 = agents.ask("storm")?;
    row(
        "all lose their streams and come back (nothing changed)",
        back,
        "s",
        STORM_S,
    );
    server.forget();
    let resync: f64 = agents.ask("storm")?;
    row(
        "all come back to a server that forgot everything",
        resync,
        "s",
        STORM_S,
    );
    let after = (resident()? - empty) / f64::from(u32::try_from(arguments.clusters)?);
    row(
        "memory of the server for a cluster, after all that",
        after,
        "MiB",
        CLUSTER_MIB,
    );
    agents.end()
}

fn row(what: &str, ours: f64, unit: &str, aim: f64) {
    println!(
        "{what:<52} {:>12} {:>10} {:>8.2}",
        format!("{ours:.1} {unit}"),
        format!("{aim:.0} {unit}"),
        ours / aim
    );
}

/// Memory of this process in MiB.
fn resident() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = number.context("no VmRSS")?.parse()?;
    Ok(kib / 1024.0)
}

/// The process with the agents, which does as it is told, line by line.
struct Agents {
    child: Child,
    say: ChildStdin,
    hear: BufReader<ChildStdout>,
}

impl Agents {
    fn start(server: &server::Server, arguments: &Arguments) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("agents")
            .args(["--server", &server.address.to_string()])
            .arg("--files")
            .arg(server.files.path())
            .args(["--clusters", &arguments.clusters.to_string()])
            .args(["--services", &arguments.services.to_string()])
            .args(["--pods", &arguments.pods.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the agents")?;
        let say = child.stdin.take().context("the agents' input")?;
        let hear = BufReader::new(child.stdout.take().context("the agents' output")?);
        Ok(Self { child, say, hear })
    }

    /// What the agents answer to a command, which takes as long as it takes.
    fn say(&mut self, command: &str) -> Result<String> {
        writeln!(self.say, "{command}").context("the agents ended")?;
        let mut line = String::new();
        if self.hear.read_line(&mut line)? == 0 {
            bail!("the agents ended in the middle of {command}");
        }
        Ok(line)
    }

    fn ask(&mut self, command: &str) -> Result<f64> {
        let line = self.say(command)?;
        line.trim()
            .parse()
            .with_context(|| format!("the agents said {line:?}"))
    }

    fn end(mut self) -> Result<()> {
        drop(self.say);
        std::thread::sleep(Duration::from_millis(200));
        self.child.kill().ok();
        self.child.wait().context("wait for the agents").map(drop)
    }
}
