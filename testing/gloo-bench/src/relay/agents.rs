//! The agents' end: the product's relay client with objects that were made up.

use std::{
    io::BufRead,
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use gloo_relay::{
    client::{self, Credentials, KeyRequest, Local, Server, State, Status},
    enrolment::{LONGEST_LIFE, Signed, Signer},
    proto::Results,
    session::AgentFacts,
    table::{Objects, Source},
    tls::Identity,
};
use tokio::{runtime::Runtime, sync::watch, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    objects,
    server::{AUTHORITY, UID, name},
};

/// Where the server is, and what the agents have.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    server: SocketAddr,
    /// Folder with the authorities.
    #[arg(long)]
    files: PathBuf,
    #[arg(long)]
    clusters: usize,
    #[arg(long)]
    services: usize,
    #[arg(long)]
    pods: usize,
}

/// The longest anything may take.
const PATIENCE: Duration = Duration::from_mins(10);

/// Follows what is desired; applies nothing.
struct Follower(watch::Sender<Objects>);

#[tonic::async_trait]
impl Local for Follower {
    async fn desired(&self, objects: Objects) {
        self.0.send_replace(objects);
    }

    fn opened(&self) {}

    async fn settled(&self, _: u64) {}
}

struct Agent {
    observed: watch::Sender<Option<Source>>,
    credentials: Credentials,
    number: usize,
    desired: watch::Receiver<Objects>,
    follower: Arc<Follower>,
    /// Of the stream there is now.
    running: Option<(CancellationToken, watch::Receiver<Status>)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = Runtime::new().context("a runtime")?;
    let mut agents = make(arguments)?;
    for line in std::io::stdin().lock().lines() {
        let line = line.context("read a command")?;
        let mut words = line.split_whitespace();
        let answer = match (words.next(), words.next()) {
            (Some("made"), _) => made(&agents).to_string(),
            (Some("connect" | "storm"), _) => runtime
                .block_on(connect(&mut agents, arguments))?
                .as_secs_f64()
                .to_string(),
            (Some("change"), Some(count)) => {
                let count = count.parse().context("a number of changes")?;
                runtime.block_on(change(&agents, count))?
            }
            _ => bail!("no such command: {line}"),
        };
        println!("{answer}");
    }
    Ok(())
}

fn made(agents: &[Agent]) -> usize {
    let of = |agent: &Agent| agent.observed.borrow().as_ref().map_or(0, Source::len);
    agents.iter().map(of).sum()
}

fn make(arguments: &Arguments) -> Result<Vec<Agent>> {
    let read = |name: &str| {
        let path = arguments.files.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let signer = Signer::new(&read("clients.crt")?, &read("clients.key")?, LONGEST_LIFE)?;
    let roots = read("servers.crt")?;
    (0..arguments.clusters)
        .map(|number| {
            let request = KeyRequest::new()?;
            let csr = Signed::read(&request.csr)?;
            let now = SystemTime::now();
            let certificate = signer.client(&name(number)?, UID, 0, &csr, now, rand::random())?;
            let source = objects::cluster(number, arguments.services, arguments.pods)?;
            let (desired, follows) = watch::channel(Objects::new());
            Ok(Agent {
                observed: watch::Sender::new(Some(source)),
                credentials: Credentials {
                    roots: roots.clone(),
                    identity: Identity {
                        chain: certificate.chain,
                        key: request.key,
                    },
                },
                number,
                desired: follows,
                follower: Arc::new(Follower(desired)),
                running: None,
            })
        })
        .collect()
}

/// All streams end, if there are any, and all agents connect at once. Until every one is warmed.
async fn connect(agents: &mut [Agent], arguments: &Arguments) -> Result<Duration> {
    for agent in &mut *agents {
        if let Some((closing, _)) = agent.running.take() {
            closing.cancel();
        }
    }
    let started = Instant::now();
    for agent in &mut *agents {
        agent.start(arguments);
    }
    for agent in agents {
        let Some((_, status)) = &mut agent.running else {
            bail!("an agent that was started does not run");
        };
        let warmed = status.wait_for(|status| status.warmed && status.state == State::Connected);
        let reached = timeout(PATIENCE, warmed)
            .await
            .map(|reached| reached.map(drop));
        reached
            .with_context(|| format!("cluster {} is not warmed in time", agent.number))?
            .with_context(|| format!("the agent of cluster {} ended", agent.number))?;
    }
    Ok(started.elapsed())
}

impl Agent {
    fn start(&mut self, arguments: &Arguments) {
        let status = watch::Sender::new(Status::new());
        let closing = CancellationToken::new();
        self.running = Some((closing.clone(), status.subscribe()));
        let instance = format!("agent-{}-{}", self.number, rand::random::<u32>());
        let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let parts = client::Parts {
            server: Server {
                address: arguments.server.to_string(),
                authority: AUTHORITY.to_owned(),
            },
            facts: AgentFacts {
                version: "bench".to_owned(),
                cluster_uid: UID.to_owned(),
                instance,
                started_ms: started
                    .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(0)),
                capabilities: Vec::new(),
            },
            credentials: watch::Sender::new(Some(self.credentials.clone())).subscribe(),
            observed: self.observed.subscribe(),
            results: watch::Sender::new(Results::default()).subscribe(),
            status,
            revoked: watch::Sender::new(None),
            local: self.follower.clone(),
        };
        tokio::spawn(client::run(parts, closing));
    }
}

/// Puts a new account into one cluster after another, and waits until another cluster's policies let it in.
async fn change(agents: &[Agent], count: usize) -> Result<String> {
    let mut times = Vec::new();
    for number in 0..count {
        let from = &agents[number % agents.len()];
        let to = &agents[(number + agents.len() / 2) % agents.len()];
        let account = format!("new-{number}");
        let mut desired = to.desired.clone();
        let started = Instant::now();
        let mut made = Ok(());
        from.observed.send_modify(|source| {
            if let Some(source) = source {
                made = objects::account(source, &account);
            }
        });
        made?;
        let word = format!("\"{account}\"");
        let there = desired.wait_for(|objects| lets_in(objects, &word));
        timeout(PATIENCE, there)
            .await
            .context("a change did not arrive")??;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    let at = |part: usize| times[(times.len() * part / 100).min(times.len() - 1)];
    Ok(format!("{} {}", at(50), at(99)))
}

fn lets_in(objects: &Objects, account: &str) -> bool {
    let mut policies = objects
        .iter()
        .filter(|(key, _)| key.kind() == "CiliumNetworkPolicy");
    policies.any(|(_, bytes)| std::str::from_utf8(bytes).is_ok_and(|text| text.contains(account)))
}
