//! What to measure at a running component, as data: the cluster crate executes it, [`crate::Component::health`] judges it.

use std::collections::BTreeMap;

/// One measurement of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Unique within the component; [`crate::ProbeResult::probe`] repeats it.
    pub name: String,
    pub target: ProbeTarget,
    pub kind: ProbeKind,
}

/// Where to measure. Pods are reached by pod IP, so neither DNS nor Services need to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// Every ready-or-not running pod that matches, each measured for itself.
    EachPod(PodSelector),
    /// The first ready pod that matches.
    AnyPod(PodSelector),
    /// A server of the user's, `host:port`.
    Address(String),
}

/// Pods by namespace and labels, and the port to talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSelector {
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub port: u16,
}

/// How to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeKind {
    /// `GET path`; good when the status is 2xx and the body holds [`HttpCheck::body_contains`].
    Http(HttpCheck),
    /// `AUTH`, `PING`, `SET` of `probe_key` with an expiry, `GET`, `DEL`, `INFO`.
    /// Values: `used_memory`, `maxmemory`, `aof_enabled`, `aof_last_write_ok`, `loading` (bytes or 0/1).
    RedisReadWrite {
        login: RedisLogin,
        probe_key: String,
    },
    /// `GET` of JSON; good when each pointer of [`JsonCheck::set`] leads to something that is neither null, false, zero nor empty,
    /// and each of [`JsonCheck::unset`] to nothing else.
    Json(JsonCheck),
    /// `GET` of what an agent says of its datapath; good when the status is 2xx.
    /// Values: those of [`crate::carried`], none where the agent does not probe.
    Carried { path: String },
    /// Sends a log record by OTLP/gRPC and reads it from Redis. The stream is
    /// `gloonet:v1:logs:<cluster>:probe:<pod>` (docs/redis-keys.md), one per target, so that targets do not wipe each other's.
    LogArrives(Box<LogArrives>),
    /// Prometheus instant query `avg by (job) (up)`; answered when the query was.
    /// Values: for each of `jobs` its share of targets that are up (0 to 1), absent when the job has no target.
    PrometheusJobsUp { path: String, jobs: Vec<String> },
    /// Text exposition at `path`; values: for each name the sum over all series of the metrics so called.
    /// A name without series is left out of the values.
    MetricSums { path: String, metrics: Vec<String> },
}

/// What an HTTP answer must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCheck {
    pub path: String,
    pub body_contains: Option<String>,
    /// Basic authentication.
    pub basic_auth: Option<(SecretKeyRef, SecretKeyRef)>,
}

/// What a component must say of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonCheck {
    pub path: String,
    /// JSON pointers (RFC 6901).
    pub set: Vec<String>,
    pub unset: Vec<String>,
    /// Repeated to people when the check fails.
    pub quote: Vec<String>,
}

/// How a log record gets in, and where it must come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogArrives {
    pub tls: ClientTls,
    /// `cluster_name` of the record.
    pub cluster: String,
    pub redis: ProbeTarget,
    pub login: RedisLogin,
}

/// TLS with a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    pub certificate: SecretKeyRef,
    pub key: SecretKeyRef,
    pub authority: SecretKeyRef,
    /// The name the server's certificate must have.
    pub server_name: String,
}

/// How to log in to Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisLogin {
    pub username: Option<SecretKeyRef>,
    pub password: Option<SecretKeyRef>,
    /// The authority that Redis is known by. Absent: no TLS.
    pub authority: Option<SecretKeyRef>,
}

/// One key of one Secret; the value never leaves the executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKeyRef {
    pub namespace: String,
    pub name: String,
    pub key: String,
}

impl SecretKeyRef {
    pub fn new(namespace: &str, name: &str, key: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
        }
    }
}

impl PodSelector {
    pub fn new(namespace: &str, label: (&str, &str), port: u16) -> Self {
        Self {
            namespace: namespace.to_owned(),
            labels: BTreeMap::from([(label.0.to_owned(), label.1.to_owned())]),
            port,
        }
    }
}

impl HttpCheck {
    pub fn path(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            body_contains: None,
            basic_auth: None,
        }
    }
}
