//! The programs of the way, and what can be counted and done at them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use tonic::transport::{Channel, Endpoint};

use super::files::{self, CLUSTER, Ports};

/// Streams that the records are spread over.
pub(super) const STREAMS: u64 = 16;
const STARTS: Duration = Duration::from_secs(20);

/// What is run.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) collector: PathBuf,
    pub(super) sink: PathBuf,
    pub(super) redis: PathBuf,
}

/// Ends with what holds it.
#[derive(Debug)]
pub(super) struct Process(Child);

impl Process {
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// Running programs, the collector first.
#[derive(Debug)]
pub(super) struct Stage {
    folder: tempfile::TempDir,
    programs: Programs,
    ports: Ports,
    channel: Channel,
    thrown_away: bool,
    collector: Process,
    gateway: Option<Process>,
    others: Vec<Process>,
}

/// Name of a stream's node.
pub(super) fn stream(at: u64) -> String {
    format!("node-{at}")
}

impl Stage {
    /// Starts everything. `thrown_away`: the collector has no gateway but an exporter that throws away.
    pub(super) async fn set(programs: &Programs, thrown_away: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ports = Ports::free()?;
        let tls = files::certificates(folder.path())?;
        files::collector(folder.path(), &ports, thrown_away)?;
        let mut others = Vec::new();
        let mut gateway_process = None;
        if !thrown_away {
            others.push(redis(programs, folder.path(), ports.redis)?);
            others.push(sink(programs, folder.path(), &ports)?);
            files::gateway(folder.path(), &ports)?;
            gateway_process = Some(start(&programs.collector, folder.path(), "gateway")?);
            ready(ports.gateway_health).await?;
        }
        let collector_process = start(&programs.collector, folder.path(), "collector")?;
        ready(ports.collector_health).await?;
        let channel = Endpoint::from_shared(format!("https://127.0.0.1:{}", ports.collector))?
            .tls_config(tls)?
            .connect()
            .await
            .context("connect to the collector")?;
        Ok(Self {
            folder,
            programs: programs.clone(),
            ports,
            channel,
            thrown_away,
            collector: collector_process,
            gateway: gateway_process,
            others,
        })
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Milliseconds on a processor so far: collector, gateway, Redis, redis-sink.
    pub(super) fn cpu(&self) -> Result<Vec<f64>> {
        let others = self.gateway.iter().chain(&self.others);
        std::iter::once(&self.collector)
            .chain(others)
            .map(|process| spent(process.id()))
            .collect()
    }

    /// Records at the end of the way. What was sent twice and stored twice counts twice.
    pub(super) async fn count(&self) -> Result<u64> {
        if self.thrown_away {
            return thrown_away(self.ports.collector_metrics).await;
        }
        let mut sum = 0;
        for at in 0..STREAMS {
            sum += added(self.ports.redis, at).await?;
        }
        Ok(sum)
    }

    /// Waits until `records` are there, or longer when fewer come.
    pub(super) async fn arrived(&self, records: u64, limit: Duration) -> Result<u64> {
        let deadline = Instant::now() + limit;
        loop {
            let counted = self.count().await?;
            if counted >= records || Instant::now() > deadline {
                return Ok(counted);
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Each stream has every one of its numbers, once.
    pub(super) async fn complete(&self, records: u64) -> Result<()> {
        // What is still under way for a second time would be counted now.
        sleep(Duration::from_secs(15)).await;
        for at in 0..STREAMS {
            let wanted = (records + STREAMS - 1 - at) / STREAMS;
            let counted = added(self.ports.redis, at).await?;
            if counted != wanted {
                bail!("stream {at} had {counted} records stored, {wanted} were sent");
            }
        }
        Ok(())
    }

    pub(super) fn freeze_redis(&self, frozen: bool) -> Result<()> {
        let redis = self.others.first().context("Redis does not run")?;
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let status = Command::new("kill")
            .args([signal, &redis.id().to_string()])
            .status()?;
        status.success().then_some(()).context("kill failed")
    }

    /// As a node that loses power: no time to hand anything on.
    pub(super) fn stop_gateway(&mut self) -> Result<()> {
        self.gateway
            .take()
            .map(drop)
            .context("the gateway does not run")
    }

    pub(super) async fn start_gateway(&mut self) -> Result<()> {
        self.gateway = Some(start(
            &self.programs.collector,
            self.folder.path(),
            "gateway",
        )?);
        ready(self.ports.gateway_health).await
    }
}

/// The collector's program with one of the files. What it says is in the folder.
pub(super) fn start(program: &Path, folder: &Path, name: &str) -> Result<Process> {
    let mut command = Command::new(program);
    command.arg(format!(
        "--config={}",
        folder.join(format!("{name}.yaml")).display()
    ));
    spawn(&mut command, folder, name)
}

fn redis(programs: &Programs, folder: &Path, port: u16) -> Result<Process> {
    let mut command = Command::new(&programs.redis);
    command
        .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
        .args(["--save", "", "--appendonly", "yes", "--dir"])
        .arg(folder);
    spawn(&mut command, folder, "redis")
}

fn sink(programs: &Programs, folder: &Path, ports: &Ports) -> Result<Process> {
    let mut command = Command::new(&programs.sink);
    command.args([
        format!("--otlp-address=127.0.0.1:{}", ports.sink),
        format!("--metrics-address=127.0.0.1:{}", ports.sink_metrics),
        format!("--redis-address=127.0.0.1:{}", ports.redis),
    ]);
    spawn(&mut command, folder, "sink")
}

fn spawn(command: &mut Command, folder: &Path, name: &str) -> Result<Process> {
    let log = fs::File::create(folder.join(format!("{name}.log")))?;
    let started = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn();
    started
        .map(Process)
        .with_context(|| format!("start {name}: {}", command.get_program().display()))
}

pub(super) async fn ready(port: u16) -> Result<()> {
    let deadline = Instant::now() + STARTS;
    while Instant::now() < deadline {
        if let Ok(answer) = ask(port, "GET / HTTP/1.0\r\n\r\n").await
            && answer.starts_with("HTTP/1.0 200")
        {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    bail!("port {port} does not say that it is ready")
}

/// The whole answer of who closes the connection after it.
pub(super) async fn ask(port: u16, question: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(question.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

async fn thrown_away(port: u16) -> Result<u64> {
    let page = ask(port, "GET /metrics HTTP/1.0\r\n\r\n").await?;
    let line = page
        .lines()
        .find(|line| line.starts_with("otelcol_exporter_sent_log_records"));
    let Some(line) = line else {
        return Ok(0);
    };
    let number = line.rsplit(' ').next().context("a number")?;
    let number: f64 = number.parse().context("a number")?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count in an exposition is a float"
    )]
    Ok(number as u64)
}

/// Entries ever added to a stream; Redis counts them also when it keeps the last ones only.
async fn added(port: u16, at: u64) -> Result<u64> {
    let key = format!("gloonet:v1:logs:{CLUSTER}:ui:{}::", stream(at));
    let answer = ask(port, &format!("XINFO STREAM {key}\r\nQUIT\r\n")).await?;
    let Some((_, rest)) = answer.split_once("entries-added\r\n:") else {
        return Ok(0);
    };
    let number = rest.lines().next().context("a number")?;
    number.trim().parse().context("a number")
}

fn spent(process: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name may hold spaces; it ends at the last bracket (proc_pid_stat(5)).
    let (_, rest) = text.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| {
        let field = fields.get(at).context("a field")?;
        field.parse::<f64>().context("ticks")
    };
    // Linux has 100 ticks a second on every machine this is built for.
    Ok((ticks(11)? + ticks(12)?) * 10.0)
}
