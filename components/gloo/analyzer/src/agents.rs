//! What each Cilium agent answers: health, metrics, and what its node is like.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use cilium_api::names::{AGENT_HEALTH_PORT, AGENT_METRICS_PORT};
use futures::{StreamExt, stream};
use gloo_record::cilium_agents::{Health, Metrics};
use gloonet_daemon::{error::chain, web};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use prometheus_parse::{Sample, Scrape, Value};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::pods;

const ANSWER: Duration = Duration::from_secs(3);
const AT_ONCE: usize = 32;
/// Bytes of an answer. The metrics of a large node are some hundred thousand.
const LARGEST: usize = 8 << 20;
/// Several analyzers ask for the same at one time.
const FRESH: Duration = Duration::from_secs(5);
/// Pressure of a map that is worth a line.
const NOTABLE_PRESSURE: f64 = 0.01;

/// One agent's answers.
#[derive(Clone, Debug)]
pub struct Answer {
    pub pod: Arc<Pod>,
    pub health: Health,
    pub metrics: Option<Metrics>,
    pub facts: Result<Facts, String>,
    /// The node's clock less ours, in milliseconds.
    pub clock_ahead_ms: i64,
}

impl Answer {
    pub fn node(&self) -> &str {
        pods::node(&self.pod)
    }
}

/// What an agent says of its node, at `/node` of the health port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Facts {
    pub config_digest: String,
    pub cni_files: Vec<String>,
    pub device_mtu: u32,
    pub pod_mtu: u32,
    pub clock_ms: i64,
    pub sysctls: BTreeMap<String, String>,
    pub btf: bool,
    pub cgroup2: bool,
}

type Held = Option<(Instant, Arc<Vec<Answer>>)>;

/// Asks all agents, and remembers for a moment.
#[derive(Debug)]
pub struct Agents {
    client: reqwest::Client,
    last: Mutex<Held>,
}

impl Agents {
    pub fn new() -> Result<Self, reqwest::Error> {
        Ok(Self {
            client: web::client(ANSWER)?,
            last: Mutex::new(None),
        })
    }

    /// The answers of all pods of the agent.
    pub async fn ask(&self, all: &[Arc<Pod>]) -> Arc<Vec<Answer>> {
        let mut last = self.last.lock().await;
        if let Some((at, answers)) = last.as_ref()
            && at.elapsed() < FRESH
        {
            return answers.clone();
        }
        let agents: Vec<Arc<Pod>> = all
            .iter()
            .filter(|pod| pods::labelled(pod, "k8s-app", "cilium"))
            .filter(|pod| !pods::node(pod).is_empty())
            .cloned()
            .collect();
        let answers: Vec<Answer> = stream::iter(agents)
            .map(|pod| self.one(pod))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let answers = Arc::new(answers);
        *last = Some((Instant::now(), answers.clone()));
        answers
    }

    async fn one(&self, pod: Arc<Pod>) -> Answer {
        let status = pod.status.as_ref();
        let Some(host) = status.and_then(|status| status.host_ip.clone()) else {
            let why = format!("pod {} is not started", pod.name_any());
            return Answer {
                pod,
                health: Health::NoAnswer(why.clone()),
                metrics: None,
                facts: Err(why),
                clock_ahead_ms: 0,
            };
        };
        let url = |port: u16, path: &str| format!("http://{host}:{port}{path}");
        let sent = now_ms();
        let (facts, health, metrics) = tokio::join!(
            self.get(url(AGENT_HEALTH_PORT, "/node")),
            self.get(url(AGENT_HEALTH_PORT, "/healthz")),
            self.get(url(AGENT_METRICS_PORT, "/metrics")),
        );
        let facts = facts.and_then(|(_, text)| {
            serde_json::from_str::<Facts>(&text)
                .map_err(|error| format!("the answer is not understood: {error}"))
        });
        // The agent read its clock between the two; the way there and back is at most what lies between them.
        let middle = i64::midpoint(sent, now_ms());
        Answer {
            pod,
            health: judge(health),
            metrics: metrics
                .ok()
                .filter(|(code, _)| *code == 200)
                .map(|(_, text)| read(&text)),
            clock_ahead_ms: facts.as_ref().map_or(0, |facts| facts.clock_ms - middle),
            facts,
        }
    }

    async fn get(&self, url: String) -> Result<(u16, String), String> {
        let answer = self.client.get(url).send().await;
        let answer = answer.map_err(|error| chain(&error))?;
        let code = answer.status().as_u16();
        let body = web::body(answer, LARGEST).await;
        let body = body.map_err(|error| chain(&error))?;
        Ok((code, String::from_utf8_lossy(&body).into_owned()))
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn judge(answer: Result<(u16, String), String>) -> Health {
    match answer {
        Ok((200, _)) => Health::Ok,
        Ok((code, text)) => {
            // As upstream's and ours: {"cilium": {"state": …, "msg": …}}.
            let said: Option<serde_json::Value> = serde_json::from_str(&text).ok();
            let words = said.and_then(|said| said["cilium"]["msg"].as_str().map(str::to_owned));
            Health::Failing(words.unwrap_or_else(|| format!("it answers {code}")))
        }
        Err(why) => Health::NoAnswer(why),
    }
}

/// Of the exposition, what the record holds.
fn read(text: &str) -> Metrics {
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let samples = Scrape::parse(lines).map_or_else(|_| Vec::new(), |scrape| scrape.samples);
    let mut metrics = Metrics::default();
    for sample in &samples {
        take(&mut metrics, sample);
    }
    metrics
}

fn take(metrics: &mut Metrics, sample: &Sample) {
    let (Value::Counter(value) | Value::Gauge(value) | Value::Untyped(value)) = sample.value else {
        return;
    };
    let label = |name: &str| sample.labels.get(name).unwrap_or_default().to_owned();
    let sum = |place: &mut Option<u64>| *place = Some(place.unwrap_or_default() + whole(value));
    match sample.metric.as_str() {
        "cilium_version" => metrics.version = Some(label("version")),
        "cilium_controllers_failing" => sum(&mut metrics.controllers_failing),
        "cilium_bpf_map_pressure" if value > NOTABLE_PRESSURE => {
            metrics.map_pressure.insert(label("map_name"), value);
        }
        "cilium_drop_count_total" => {
            *metrics.drops.entry(label("reason")).or_default() += whole(value);
        }
        "cilium_endpoint_state" if label("endpoint_state") != "ready" => {
            metrics.endpoints_not_ready += whole(value);
        }
        "cilium_policy_too_large" => sum(&mut metrics.policies_too_large),
        "cilium_ip_addresses" => sum(&mut metrics.addresses_used),
        "cilium_ipam_capacity" => sum(&mut metrics.addresses_total),
        _ => {}
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count; what is no count becomes 0 or the largest"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_holds_what_the_exposition_says() {
        let metrics = read(
            "# TYPE cilium_version gauge\n\
             cilium_version{version=\"0.1.0\",arch=\"x\"} 1\n\
             # TYPE cilium_controllers_failing gauge\n\
             cilium_controllers_failing 2\n\
             # TYPE cilium_bpf_map_pressure gauge\n\
             cilium_bpf_map_pressure{map_name=\"ct4_global\"} 0.9\n\
             cilium_bpf_map_pressure{map_name=\"lb\"} 0.0\n\
             # TYPE cilium_drop_count counter\n\
             cilium_drop_count_total{reason=\"Policy denied\",direction=\"INGRESS\"} 3\n\
             cilium_drop_count_total{reason=\"Policy denied\",direction=\"EGRESS\"} 4\n\
             # TYPE cilium_endpoint_state gauge\n\
             cilium_endpoint_state{endpoint_state=\"ready\"} 9\n\
             cilium_endpoint_state{endpoint_state=\"regenerating\"} 1\n\
             # TYPE cilium_policy_too_large gauge\n\
             cilium_policy_too_large{kind=\"NetworkPolicy\",namespace=\"shop\",name=\"one\"} 1.0\n\
             cilium_policy_too_large{kind=\"\",namespace=\"\",name=\"\"} 2.0\n\
             # EOF\n",
        );
        assert_eq!(metrics.version.as_deref(), Some("0.1.0"));
        assert_eq!(metrics.controllers_failing, Some(2));
        assert_eq!(metrics.map_pressure.len(), 1);
        assert_eq!(metrics.drops["Policy denied"], 7);
        assert_eq!(metrics.endpoints_not_ready, 1);
        assert_eq!(metrics.policies_too_large, Some(3));
        assert_eq!(metrics.addresses_total, None);
    }

    #[test]
    fn what_is_no_exposition_is_no_metric_and_no_panic() {
        assert_eq!(read("<html>\n{{{\u{0}"), Metrics::default());
        assert_eq!(
            read("cilium_controllers_failing NaN").controllers_failing,
            Some(0)
        );
    }

    #[test]
    fn an_agent_that_is_not_well_is_told_apart_from_one_that_does_not_answer() {
        let body = r#"{"cilium": {"state": "Failure", "msg": "waits for its podCIDR"}}"#;
        let failing = judge(Ok((503, body.to_owned())));
        assert_eq!(failing, Health::Failing("waits for its podCIDR".to_owned()));
        assert_eq!(
            judge(Ok((500, String::new()))),
            Health::Failing("it answers 500".to_owned())
        );
        assert!(matches!(
            judge(Err("refused".to_owned())),
            Health::NoAnswer(_)
        ));
    }

    #[test]
    fn facts_of_a_later_agent_are_read_as_far_as_they_are_known() {
        let facts: Facts = serde_json::from_str(r#"{"podMtu": 1450, "later": [1]}"#).unwrap();
        assert_eq!(facts.pod_mtu, 1450);
    }
}
