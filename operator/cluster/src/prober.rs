//! Measures running components at the thing itself: by pod address, without DNS or Services.

mod carried;
mod credentials;
mod exposition;
mod json;
mod log;
mod prometheus;
mod redis;
mod web;

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use gloonet_catalog::{
    ComponentId, LogArrives, PodObservation, PodSelector, Probe, ProbeKind, ProbeOutcome,
    ProbeResult, ProbeTarget, RedisLogin,
};
use kube::Client;
use tokio::time::timeout;

use crate::eyes::Eyes;
use credentials::Credentials;
use web::Web;

/// Longest time one measurement may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Measurements at once.
const AT_ONCE: usize = 16;

/// What a measurement says when it works.
type Values = BTreeMap<String, f64>;

/// Why a measurement failed, in a sentence without secrets.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error("no connection: {0}")]
    Connect(String),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error("HTTP {code} at {path}{said}")]
    Code {
        code: u16,
        path: String,
        said: String,
    },
    #[error("the answer at {path} is not what was asked for: {why}")]
    Answer { path: String, why: String },
    #[error("it says at {path}: {why}")]
    Said { path: String, why: String },
    #[error("{0}")]
    Redis(String),
    #[error("{0}")]
    Log(String),
    #[error("Secret {0} cannot be read")]
    Secret(String),
}

/// Executes probes.
pub struct Prober {
    web: Web,
    credentials: Credentials,
}

impl std::fmt::Debug for Prober {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Prober")
    }
}

struct Task {
    component: ComponentId,
    probe: Probe,
    /// What people see.
    target: String,
    /// `host:port`, or a URL.
    address: String,
}

impl Prober {
    /// `client` is used only for credentials that a probe names.
    pub fn new(client: Client) -> Self {
        Self {
            web: Web::new(),
            credentials: Credentials::new(client),
        }
    }

    /// Runs all probes, each at each of its targets.
    pub async fn run(
        &self,
        probes: &[(ComponentId, Probe)],
        pods: &[PodObservation],
        eyes: &Eyes,
    ) -> BTreeMap<ComponentId, Vec<ProbeResult>> {
        let mut results: BTreeMap<ComponentId, Vec<ProbeResult>> = BTreeMap::new();
        let mut tasks = Vec::new();
        for (component, probe) in probes {
            let found = targets(&probe.target, pods);
            if found.is_empty() {
                let nothing = ProbeResult {
                    probe: probe.name.clone(),
                    target: String::new(),
                    outcome: ProbeOutcome::NoTarget,
                };
                results.entry(*component).or_default().push(nothing);
            }
            tasks.extend(found.into_iter().map(|(target, address)| Task {
                component: *component,
                probe: probe.clone(),
                target,
                address,
            }));
        }
        let mut running = stream::iter(tasks.into_iter().map(|task| async move {
            let outcome = self.measure(&task, pods, eyes).await;
            (
                task.component,
                ProbeResult {
                    probe: task.probe.name,
                    target: task.target,
                    outcome,
                },
            )
        }))
        .buffer_unordered(AT_ONCE);
        while let Some((component, result)) = running.next().await {
            results.entry(component).or_default().push(result);
        }
        for all in results.values_mut() {
            all.sort_by(|one, other| (&one.probe, &one.target).cmp(&(&other.probe, &other.target)));
        }
        results
    }

    async fn measure(&self, task: &Task, pods: &[PodObservation], eyes: &Eyes) -> ProbeOutcome {
        let measured = match timeout(PATIENCE, self.ask(task, pods, eyes)).await {
            Ok(measured) => measured,
            Err(_) => Err(ProbeError::Late),
        };
        match measured {
            Ok(values) => ProbeOutcome::Answered { values },
            Err(error) => ProbeOutcome::Failed {
                reason: error.to_string(),
            },
        }
    }

    async fn ask(
        &self,
        task: &Task,
        pods: &[PodObservation],
        eyes: &Eyes,
    ) -> Result<Values, ProbeError> {
        let address = &task.address;
        match &task.probe.kind {
            ProbeKind::Http(check) => {
                let login = match &check.basic_auth {
                    Some((user, password)) => Some((
                        self.credentials.get(eyes, user).await?,
                        self.credentials.get(eyes, password).await?,
                    )),
                    None => None,
                };
                let body = self.web.get(address, &check.path, login.as_ref()).await?;
                match &check.body_contains {
                    Some(wanted) if !body.contains(wanted.as_str()) => Err(ProbeError::Answer {
                        path: check.path.clone(),
                        why: format!("it lacks {wanted:?}"),
                    }),
                    _ => Ok(Values::new()),
                }
            }
            ProbeKind::Json(check) => {
                let body = self.web.get(address, &check.path, None).await?;
                let judged = json::judge(&body, check).map(|()| Values::new());
                judged.map_err(|why| ProbeError::Said {
                    path: check.path.clone(),
                    why,
                })
            }
            ProbeKind::Carried { path } => {
                let body = self.web.get(address, path, None).await?;
                carried::values(&body).map_err(|error| ProbeError::Answer {
                    path: path.clone(),
                    why: error.to_string(),
                })
            }
            ProbeKind::MetricSums { path, metrics } => Ok(exposition::sums(
                &self.web.get(address, path, None).await?,
                metrics,
            )),
            ProbeKind::PrometheusJobsUp { path, jobs } => {
                let query = format!("{path}?query=avg%20by%20(job)%20(up)");
                let body = self.web.get(address, &query, None).await?;
                prometheus::jobs_up(&body, jobs).map_err(|why| ProbeError::Answer {
                    path: path.clone(),
                    why,
                })
            }
            ProbeKind::RedisReadWrite { login, probe_key } => {
                let login = self.login(login, eyes).await?;
                redis::read_write(address, login, probe_key).await
            }
            ProbeKind::LogArrives(way) => self.log_arrives(task, way, pods, eyes).await,
        }
    }

    async fn log_arrives(
        &self,
        task: &Task,
        way: &LogArrives,
        pods: &[PodObservation],
        eyes: &Eyes,
    ) -> Result<Values, ProbeError> {
        let (_, redis) = targets(&way.redis, pods)
            .into_iter()
            .next()
            .ok_or_else(|| ProbeError::Log("there is no Redis to look into".to_owned()))?;
        let identity = log::Identity {
            certificate: self.credentials.get(eyes, &way.tls.certificate).await?,
            key: self.credentials.get(eyes, &way.tls.key).await?,
            authority: self.credentials.get(eyes, &way.tls.authority).await?,
            server_name: &way.tls.server_name,
        };
        let login = self.login(&way.login, eyes).await?;
        let pod = task.target.rsplit('/').next().unwrap_or_default();
        let token = log::send(&task.address, &identity, &way.cluster, pod).await?;
        let stream = format!("gloonet:v1:logs:{}:probe:{pod}", way.cluster);
        redis::await_entry(&redis, login, &stream, &token).await?;
        Ok(Values::new())
    }

    async fn login(&self, login: &RedisLogin, eyes: &Eyes) -> Result<redis::Login, ProbeError> {
        let username = self
            .credentials
            .optional(eyes, login.username.as_ref())
            .await;
        let password = match &login.password {
            Some(reference) => Some(self.credentials.get(eyes, reference).await?),
            None => None,
        };
        let authority = match &login.authority {
            Some(reference) => Some(self.credentials.get(eyes, reference).await?),
            None => None,
        };
        Ok(redis::Login {
            username,
            password,
            authority,
        })
    }
}

/// What is at the bottom of an error of the network; what lies above only says that something was tried.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn targets(target: &ProbeTarget, pods: &[PodObservation]) -> Vec<(String, String)> {
    let at = |pod: &PodObservation, port: u16| {
        pod.ip.as_ref().map(|ip| {
            (
                format!("{}/{}", pod.namespace, pod.name),
                format!("{ip}:{port}"),
            )
        })
    };
    match target {
        ProbeTarget::Address(address) => vec![(address.clone(), address.clone())],
        ProbeTarget::EachPod(selector) => matching(pods, selector)
            .filter_map(|pod| at(pod, selector.port))
            .collect(),
        ProbeTarget::AnyPod(selector) => {
            let ready = matching(pods, selector).find(|pod| pod.ready);
            ready
                .and_then(|pod| at(pod, selector.port))
                .into_iter()
                .collect()
        }
    }
}

fn matching<'a>(
    pods: &'a [PodObservation],
    selector: &'a PodSelector,
) -> impl Iterator<Item = &'a PodObservation> {
    pods.iter().filter(|pod| {
        pod.namespace == selector.namespace
            && pod.phase == "Running"
            && !pod.deleting
            && selector
                .labels
                .iter()
                .all(|(name, value)| pod.labels.get(name) == Some(value))
    })
}
