//! The programs of the way, each with the configuration the operator would give it, less what a loopback changes.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use gloo_relay::fixture;
use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::{ClusterFacts, ComponentId, component, validate};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

const CLUSTER: &str = "measured";
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
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

/// Ports of one stage.
#[derive(Debug, Clone, Copy)]
struct Ports {
    collector: u16,
    collector_health: u16,
    collector_metrics: u16,
    gateway: u16,
    gateway_health: u16,
    gateway_metrics: u16,
    exporter: u16,
    sink: u16,
    sink_metrics: u16,
    redis: u16,
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
        let ports = Ports {
            collector: free()?,
            collector_health: free()?,
            collector_metrics: free()?,
            gateway: free()?,
            gateway_health: free()?,
            gateway_metrics: free()?,
            exporter: free()?,
            sink: free()?,
            sink_metrics: free()?,
            redis: free()?,
        };
        let tls = certificates(folder.path())?;
        let collector = collector(folder.path(), &ports, thrown_away)?;
        let mut others = Vec::new();
        let mut gateway_process = None;
        if !thrown_away {
            others.push(redis(programs, folder.path(), ports.redis)?);
            others.push(sink(programs, folder.path(), &ports)?);
            gateway(folder.path(), &ports)?;
            gateway_process = Some(start(&programs.collector, folder.path(), "gateway")?);
            ready(ports.gateway_health).await?;
        }
        let collector_process = start(&programs.collector, folder.path(), &collector)?;
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

    /// Time on a processor so far: collector, gateway, Redis, redis-sink.
    pub(super) fn cpu(&self) -> Result<Vec<Duration>> {
        let others = self.gateway.iter().chain(&self.others);
        std::iter::once(&self.collector)
            .chain(others)
            .map(|process| spent(process.0.id()))
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
            .args([signal, &redis.0.id().to_string()])
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

fn free() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One authority and one certificate per name; the folder stands for every mounted Secret.
fn certificates(folder: &Path) -> Result<ClientTlsConfig> {
    let authority = fixture::authority("measurement");
    fs::write(folder.join("ca.crt"), &authority.0)?;
    let names = [
        ("gateway", "gloo-telemetry-gateway.gloo-mesh"),
        ("collector", "gloo-telemetry-collector.gloo-mesh"),
    ];
    for (file, name) in names {
        let (certificate, key) = fixture::server(&authority, name);
        fs::write(folder.join(format!("{file}.crt")), certificate)?;
        fs::write(folder.join(format!("{file}.key")), key)?;
    }
    let (certificate, key) = fixture::server(&authority, "load");
    Ok(ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&authority.0))
        .identity(Identity::from_pem(certificate, key))
        .domain_name(names[1].1))
}

/// The file the operator would write for one component.
fn rendered(id: ComponentId, config_map: &str) -> Result<Value> {
    let spec = GlooNetworkSpec::named(CLUSTER);
    let facts = ClusterFacts {
        operator_version: env!("CARGO_PKG_VERSION").to_owned(),
        api_server: Some(("192.0.2.1".to_owned(), 6443)),
        ..ClusterFacts::default()
    };
    let input = validate(&spec, &facts)
        .map_err(|refusals| anyhow::anyhow!("the specification is refused: {refusals:?}"))?;
    let objects = component(id).objects(&input)?;
    let map = objects
        .iter()
        .find(|object| object.metadata.name.as_deref() == Some(config_map))
        .context("no ConfigMap")?;
    let text = map.data["data"]["relay.yaml"].as_str().context("no file")?;
    serde_norway::from_str(text).context("the file is no YAML")
}

/// Listens and keeps here, with these certificates.
fn at_home(file: &mut Value, folder: &Path, name: &str, ports: (u16, u16, u16)) -> Result<()> {
    let (otlp, health, metrics) = ports;
    let keep = folder.join(format!("queue-{name}"));
    fs::create_dir_all(&keep)?;
    file["extensions"]["health_check"]["endpoint"] = json!(format!("127.0.0.1:{health}"));
    file["extensions"]["file_storage"]["directory"] = json!(keep);
    file["extensions"]["file_storage"]["compaction"]["directory"] = json!(keep);
    let grpc = &mut file["receivers"]["otlp"]["protocols"]["grpc"];
    grpc["endpoint"] = json!(format!("127.0.0.1:{otlp}"));
    certificate(&mut grpc["tls"], folder, name);
    grpc["tls"]["client_ca_file"] = json!(folder.join("ca.crt"));
    let readers = &mut file["service"]["telemetry"]["metrics"]["readers"];
    let prometheus = &mut readers[0]["pull"]["exporter"]["prometheus"];
    prometheus["host"] = json!("127.0.0.1");
    prometheus["port"] = json!(metrics);
    Ok(())
}

fn certificate(tls: &mut Value, folder: &Path, name: &str) {
    tls["cert_file"] = json!(folder.join(format!("{name}.crt")));
    tls["key_file"] = json!(folder.join(format!("{name}.key")));
}

/// Keeps one pipeline, and of the receivers and extensions what it needs.
fn only(file: &mut Value, pipeline: &str, extensions: &[&str]) -> Result<()> {
    let kept = file["service"]["pipelines"][pipeline].take();
    if kept.is_null() {
        bail!("the file has no pipeline {pipeline}");
    }
    file["service"]["pipelines"] = json!({pipeline: kept});
    file["service"]["extensions"] = json!(extensions);
    if let Some(all) = file["extensions"].as_object_mut() {
        all.retain(|name, _| extensions.contains(&name.as_str()));
    }
    if let Some(all) = file["receivers"].as_object_mut() {
        all.retain(|name, _| name == "otlp");
    }
    Ok(())
}

const EXTENSIONS: [&str; 2] = ["health_check", "file_storage"];

/// Writes the file and returns its name.
fn collector(folder: &Path, ports: &Ports, thrown_away: bool) -> Result<String> {
    let mut file = rendered(ComponentId::Collectors, "gloo-telemetry-collector-config")?;
    let (own, pipeline) = (
        (
            ports.collector,
            ports.collector_health,
            ports.collector_metrics,
        ),
        "logs/analyzer",
    );
    at_home(&mut file, folder, "collector", own)?;
    only(&mut file, pipeline, &EXTENSIONS)?;
    if thrown_away {
        file["exporters"] = json!({"debug": {}});
        file["service"]["pipelines"][pipeline]["exporters"] = json!(["debug"]);
    } else {
        let exporter = &mut file["exporters"]["otlp"];
        exporter["endpoint"] = json!(format!("127.0.0.1:{}", ports.gateway));
        certificate(&mut exporter["tls"], folder, "collector");
        exporter["tls"]["ca_file"] = json!(folder.join("ca.crt"));
    }
    write(folder, "collector", &file)
}

fn gateway(folder: &Path, ports: &Ports) -> Result<String> {
    let mut file = rendered(ComponentId::Gateway, "gloo-telemetry-gateway-config")?;
    let own = (ports.gateway, ports.gateway_health, ports.gateway_metrics);
    at_home(&mut file, folder, "gateway", own)?;
    only(&mut file, "logs/redis_stream", &EXTENSIONS)?;
    file["exporters"]["otlp/redis"]["endpoint"] = json!(format!("127.0.0.1:{}", ports.sink));
    file["exporters"]["prometheus"]["endpoint"] = json!(format!("127.0.0.1:{}", ports.exporter));
    write(folder, "gateway", &file)
}

fn write(folder: &Path, name: &str, file: &Value) -> Result<String> {
    fs::write(folder.join(format!("{name}.yaml")), format!("{file:#}"))?;
    Ok(name.to_owned())
}

/// The collector's program with one of the files. What it says is in the folder.
fn start(program: &Path, folder: &Path, name: &str) -> Result<Process> {
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

async fn ready(port: u16) -> Result<()> {
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
async fn ask(port: u16, question: &str) -> Result<String> {
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
    let key = format!("gloonet:v1:logs:{CLUSTER}:hubble:{}", stream(at));
    let answer = ask(port, &format!("XINFO STREAM {key}\r\nQUIT\r\n")).await?;
    let Some((_, rest)) = answer.split_once("entries-added\r\n:") else {
        return Ok(0);
    };
    let number = rest.lines().next().context("a number")?;
    number.trim().parse().context("a number")
}

fn spent(process: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name may hold spaces; it ends at the last bracket (proc_pid_stat(5)).
    let (_, rest) = text.rsplit_once(')').context("a name in brackets")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |at: usize| {
        fields
            .get(at)
            .context("a field")?
            .parse::<u64>()
            .context("ticks")
    };
    // Linux has 100 ticks a second on every machine this is built for.
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}
