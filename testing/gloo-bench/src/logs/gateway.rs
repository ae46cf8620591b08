//! The collector's own program as the gateway of a cluster, with the configuration the operator gives it, for tests that send it metrics.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};
use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::ComponentId;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::sleep;
use tonic::{
    Code, Status,
    body::Body,
    codegen::http::Request,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tower::{Service, ServiceExt};

use super::files::{self, CLUSTER, Ports};
use super::stage::{Process, ask, ready, start};

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
/// Memory of the gateway's container where nobody says otherwise, in MiB.
pub(super) const MEMORY: u64 = 512;
/// A gateway that is short of memory sends back what comes, for a while.
const RECOVERS: Duration = Duration::from_mins(1);
/// The public half of the key in RFC 8037, appendix A.
const KEYS: &str = r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

/// As for the tests of what the operator renders: `None` only where nobody wants real programs.
pub(super) fn program() -> Option<PathBuf> {
    let home = env::var_os("GLOONET_HOME").map(PathBuf::from);
    let home =
        home.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/gloonet")));
    let found = home
        .map(|home| home.join("bin/otelcol-contrib"))
        .filter(|path| path.is_file());
    let skip = env::var_os("GLOONET_SKIP_PROGRAMS").is_some();
    assert!(
        found.is_some() || skip,
        "otelcol-contrib is not there: run ./dev setup, or set GLOONET_SKIP_PROGRAMS to go without"
    );
    found
}

/// What is sent, and how.
#[derive(Default)]
pub(super) struct Sent<'a> {
    pub(super) message: &'a [u8],
    pub(super) gzip: bool,
    /// With it, to the port of other clusters.
    pub(super) token: Option<&'a str>,
    /// Bytes of a header that nobody asked for.
    pub(super) header: usize,
}

pub(super) struct Gateway {
    folder: tempfile::TempDir,
    pub(super) ports: Ports,
    clusters: u16,
    tls: ClientTlsConfig,
    process: Process,
}

impl Gateway {
    /// Nothing where the program is not wanted.
    pub(super) async fn start() -> Option<Self> {
        let program = program()?;
        let folder = tempfile::tempdir().unwrap();
        let ports = Ports::free().unwrap();
        let clusters = files::free().unwrap();
        let tls = files::certificates(folder.path()).unwrap();
        let file = configuration(folder.path(), &ports, clusters);
        fs::write(folder.path().join("gateway.yaml"), file.to_string()).unwrap();
        let process = start(&program, folder.path(), "gateway").unwrap();
        ready(ports.gateway_health).await.unwrap();
        Some(Self {
            folder,
            ports,
            clusters,
            tls: tls.domain_name("gloo-telemetry-gateway.gloo-mesh"),
            process,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Most memory it had so far, in MiB.
    pub(super) fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// What a request ends with.
    pub(super) async fn send(&self, sent: &Sent<'_>) -> Code {
        let port = match sent.token {
            Some(_) => self.clusters,
            None => self.ports.gateway,
        };
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap();
        let endpoint = endpoint.tls_config(self.tls.clone()).unwrap();
        let mut channel: Channel = endpoint.connect().await.unwrap();
        let ready = channel.ready().await.unwrap();
        let Ok(answer) = ready.call(request(sent)).await else {
            return Code::Unknown;
        };
        if let Some(status) = Status::from_header_map(answer.headers()) {
            return status.code();
        }
        let Ok(collected) = answer.into_body().collect().await else {
            return Code::Unknown;
        };
        let status = collected.trailers().and_then(Status::from_header_map);
        status.map_or(Code::Unknown, |status| status.code())
    }

    /// The lines of what Prometheus scrapes that begin so.
    pub(super) async fn lines(&self, begin: &str) -> Vec<String> {
        let page = ask(self.ports.exporter, "GET /metrics HTTP/1.0\r\n\r\n").await;
        let page = page.unwrap();
        let lines = page.lines().filter(|line| line.starts_with(begin));
        lines.map(str::to_owned).collect()
    }

    pub(super) async fn takes_what_is_good(&self, case: &str) {
        let began = Instant::now();
        let good = metrics(&metric("good", 5, &point("a", "b")));
        let sent = Sent {
            message: &good,
            ..Sent::default()
        };
        while self.send(&sent).await != Code::Ok {
            assert!(began.elapsed() < RECOVERS, "{case}: nothing is taken");
            sleep(Duration::from_millis(500)).await;
        }
        let lines = self.lines("good{").await;
        assert!(
            lines.iter().any(|line| line.contains(CLUSTER)),
            "{case}: {lines:?}"
        );
    }
}

fn request(sent: &Sent<'_>) -> Request<Body> {
    let mut frame = BytesMut::new();
    frame.put_u8(u8::from(sent.gzip));
    frame.put_u32(u32::try_from(sent.message.len()).unwrap());
    frame.put_slice(sent.message);
    let mut request = Request::post(format!("https://gateway{EXPORT}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if sent.gzip {
        request = request.header("grpc-encoding", "gzip");
    }
    if let Some(token) = sent.token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    if sent.header > 0 {
        request = request.header("x-long", "x".repeat(sent.header));
    }
    let body = Body::new(Full::new(Bytes::from(frame)));
    request.body(body).unwrap()
}

/// Both pipelines of metrics, on the loopback.
fn configuration(folder: &Path, ports: &Ports, clusters: u16) -> Value {
    let name = "gloo-telemetry-gateway-config";
    let mut file = files::rendered(ComponentId::Gateway, name).unwrap();
    let own = (ports.gateway, ports.gateway_health, ports.gateway_metrics);
    files::at_home(&mut file, folder, "gateway", own).unwrap();
    let grpc = &mut file["receivers"]["otlp/clusters"]["protocols"]["grpc"];
    grpc["endpoint"] = json!(format!("127.0.0.1:{clusters}"));
    files::certificate(&mut grpc["tls"], folder, "gateway");
    let keys = folder.join("jwks.json");
    fs::write(&keys, KEYS).unwrap();
    file["extensions"]["oidc"]["providers"][0]["public_keys_file"] = json!(keys);
    file["exporters"]["prometheus"]["endpoint"] = json!(format!("127.0.0.1:{}", ports.exporter));
    let pipelines = file["service"]["pipelines"].as_object_mut().unwrap();
    pipelines.retain(|name, _| name.starts_with("metrics/"));
    in_its_container(&mut file["processors"]["memory_limiter"]);
    file
}

/// Outside a container the program would take the machine's memory for its own.
fn in_its_container(limiter: &mut Value) {
    let spec = GlooNetworkSpec::named(CLUSTER);
    let limits = spec.telemetry.gateway.resources.limits;
    assert_eq!(limits["memory"].0, format!("{MEMORY}Mi"));
    let part = |name: &str| limiter[name].as_u64().unwrap() * MEMORY / 100;
    *limiter = json!({
        "check_interval": limiter["check_interval"],
        "limit_mib": part("limit_percentage"),
        "spike_limit_mib": part("spike_limit_percentage"),
    });
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 128 {
        out.push(u8::try_from(number % 128).unwrap() | 128);
        number /= 128;
    }
    out.push(u8::try_from(number).unwrap());
}

/// A field of protobuf that has a length.
pub(super) fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    varint((number << 3) | 2, &mut out);
    varint(content.len() as u64, &mut out);
    out.extend_from_slice(content);
    out
}

/// `ExportMetricsServiceRequest`, `ResourceMetrics`, `ScopeMetrics` around metrics.
pub(super) fn metrics(metrics: &[u8]) -> Vec<u8> {
    field(1, &field(2, metrics))
}

/// A metric of the kind that the number of its field says.
pub(super) fn metric(name: &str, kind: u64, points: &[u8]) -> Vec<u8> {
    let content = [field(1, name.as_bytes()), field(kind, points)].concat();
    field(2, &content)
}

/// The content of an attribute.
pub(super) fn pair(name: &str, value: &str) -> Vec<u8> {
    [
        field(1, name.as_bytes()),
        field(2, &field(1, value.as_bytes())),
    ]
    .concat()
}

/// A point of a gauge with one attribute.
pub(super) fn point(name: &str, value: &str) -> Vec<u8> {
    let mut content = field(7, &pair(name, value));
    // `as_double`, eight bytes of it.
    content.push((4 << 3) | 1);
    content.extend_from_slice(&1f64.to_le_bytes());
    field(1, &content)
}
