//! What the collector program makes of an agent's page, as the gateway's exporter shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cilium_api::names::AGENT_METRICS_PORT as AGENTS;
use gloonet_api::Switch;
use serde_json::{Value, json};

use crate::collectors::{Collectors, METRICS_UI, SELF_METRICS};
use crate::component::tests::{input, input_of, program};
use crate::gateway::Gateway;
use crate::otelcol::tests::rendered;

/// As an agent writes it: a gauge, a counter and a histogram that are asked for, then one of each that are not.
const PAGE: &str = "\
# TYPE cilium_version gauge
cilium_version{version=\"1.20.2\"} 1
# TYPE hubble_flows_processed counter
hubble_flows_processed_total{verdict=\"FORWARDED\"} 5
# TYPE cilium_policy_implementation_delay histogram
cilium_policy_implementation_delay_sum 1.5
cilium_policy_implementation_delay_count 3
cilium_policy_implementation_delay_bucket{le=\"1.0\"} 2
cilium_policy_implementation_delay_bucket{le=\"+Inf\"} 3
# TYPE cilium_node_health_connectivity_status gauge
cilium_node_health_connectivity_status{status=\"reachable\"} 2
# TYPE hubble_drop counter
hubble_drop_total{reason=\"POLICY_DENIED\"} 7
# TYPE cilium_bpf_syscall_duration_seconds histogram
cilium_bpf_syscall_duration_seconds_sum 0.5
cilium_bpf_syscall_duration_seconds_count 1
cilium_bpf_syscall_duration_seconds_bucket{le=\"+Inf\"} 1
# TYPE process_open_fds gauge
process_open_fds 9
# EOF
";
const ASKED_FOR: [&str; 5] = [
    "cilium_policy_implementation_delay_bucket",
    "cilium_policy_implementation_delay_count",
    "cilium_policy_implementation_delay_sum",
    "cilium_version",
    "hubble_flows_processed_total",
];
const THE_REST: [&str; 5] = [
    "cilium_bpf_syscall_duration_seconds_bucket",
    "cilium_bpf_syscall_duration_seconds_count",
    "cilium_bpf_syscall_duration_seconds_sum",
    "cilium_node_health_connectivity_status",
    "hubble_drop_total",
];
const PATIENCE: Duration = Duration::from_mins(1);

/// Names by the pipeline they come by.
type Sent = BTreeMap<String, BTreeSet<String>>;

/// Ends the program with the test.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(program: &Path, file: &Path) -> Self {
        let started = Command::new(program)
            .arg(format!("--config={}", file.display()))
            .env("NODE_NAME", "worker-1")
            .stderr(Stdio::null())
            .spawn();
        Self(started.unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _code = self.0.wait();
    }
}

fn agent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap());
        }
    });
    port
}

fn answer(mut stream: TcpStream) {
    let head = BufReader::new(stream.try_clone().unwrap()).lines();
    let _head: Vec<_> = head
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let length = PAGE.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all((head + PAGE).as_bytes()).unwrap();
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Names on a page of metrics that begin as what is scraped does; nothing while nobody answers.
fn names(port: u16) -> BTreeSet<String> {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return BTreeSet::new();
    };
    let mut page = String::new();
    stream
        .write_all(b"GET /metrics HTTP/1.0\r\n\r\n")
        .and_then(|()| stream.read_to_string(&mut page))
        .unwrap();
    let (_, body) = page.split_once("\r\n\r\n").unwrap();
    let series = body.lines().filter(|line| !line.starts_with('#'));
    series
        .filter_map(|line| line.split(['{', ' ']).next())
        // What the exporter says of the resources themselves.
        .filter(|name| !name.is_empty() && *name != "target_info")
        .map(str::to_owned)
        .collect()
}

/// The rendered file with the receiver and the processors as they are, the gateway's exporter behind each pipeline, and both scrapes here.
fn here(mut file: Value, agent: u16) -> (Value, BTreeMap<String, u16>) {
    let gateway = rendered(&Gateway, &input(), "gloo-telemetry-gateway-config");
    let own = free_port();
    let text = file["receivers"]["prometheus"].to_string();
    let text = text
        .replace(
            &format!("${{env:NODE_IP}}:{AGENTS}"),
            &format!("127.0.0.1:{agent}"),
        )
        .replace(
            &format!("127.0.0.1:{SELF_METRICS}"),
            &format!("127.0.0.1:{own}"),
        )
        .replace("\"15s\"", "\"1s\"");
    file["receivers"] = json!({"prometheus": serde_json::from_str::<Value>(&text).unwrap()});
    file["exporters"] = json!({});
    file["extensions"] = json!({});
    file["service"]["extensions"] = json!([]);
    file["service"]["telemetry"]["metrics"]["readers"][0]["pull"]["exporter"]["prometheus"] =
        json!({"host": "127.0.0.1", "port": own});
    let pipelines = file["service"]["pipelines"].as_object_mut().unwrap();
    pipelines.retain(|_, pipeline| pipeline["receivers"] == json!(["prometheus"]));
    let mut ports = BTreeMap::new();
    let mut exporters = json!({});
    for (name, pipeline) in pipelines {
        let (exporter, port) = (format!("prometheus/{}", ports.len()), free_port());
        exporters[&exporter] = gateway["exporters"]["prometheus"].clone();
        exporters[&exporter]["endpoint"] = json!(format!("127.0.0.1:{port}"));
        pipeline["exporters"] = json!([exporter]);
        ports.insert(name.clone(), port);
    }
    file["exporters"] = exporters;
    (file, ports)
}

/// What comes by each pipeline, once `complete` says that all of it is there; `None` where there is no program.
fn sent(ui: Switch, cilium: Switch, complete: impl Fn(&Sent) -> bool) -> Option<Sent> {
    let collector = program("otelcol-contrib")?;
    let input = input_of(|spec| {
        let pipelines = &mut spec.telemetry.collectors.pipelines;
        (pipelines.metrics_ui, pipelines.metrics_cilium) = (ui, cilium);
    });
    let file = rendered(&Collectors, &input, "gloo-telemetry-collector-config");
    let (file, ports) = here(file, agent());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay.yaml");
    std::fs::write(&path, file.to_string()).unwrap();
    let _running = Running::start(&collector, &path);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let pages = ports
            .iter()
            .map(|(name, port)| (name.clone(), names(*port)));
        let sent: Sent = pages.collect();
        if complete(&sent) {
            return Some(sent);
        }
        assert!(Instant::now() < deadline, "not all came: {sent:#?}");
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn has(sent: &Sent, pipeline: &str, names: &[&str]) -> bool {
    names.iter().all(|name| sent[pipeline].contains(*name))
}

fn without_own(sent: &Sent, pipeline: &str) -> Vec<String> {
    let names = sent[pipeline].iter();
    names
        .filter(|name| !name.starts_with("otelcol_"))
        .cloned()
        .collect()
}

const OWN: &str = "otelcol_process_uptime_total";

#[test]
fn of_what_is_scraped_the_minimum_is_sent_and_nothing_else() {
    let complete =
        |sent: &Sent| has(sent, "metrics/ui", &ASKED_FOR) && has(sent, "metrics/ui", &[OWN]);
    let Some(sent) = sent(Switch::Enabled, Switch::Disabled, complete) else {
        return;
    };
    assert_eq!(without_own(&sent, "metrics/ui"), ASKED_FOR);
    let own = sent["metrics/ui"]
        .iter()
        .filter(|name| name.starts_with("otelcol_"));
    for name in own {
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(METRICS_UI.contains(&family), "{name}");
    }
}

#[test]
fn with_both_pipelines_everything_of_cilium_and_hubble_comes_and_nothing_twice() {
    let complete =
        |sent: &Sent| has(sent, "metrics/ui", &ASKED_FOR) && has(sent, "metrics/cilium", &THE_REST);
    let Some(sent) = sent(Switch::Enabled, Switch::Enabled, complete) else {
        return;
    };
    assert_eq!(without_own(&sent, "metrics/ui"), ASKED_FOR);
    assert_eq!(
        sent["metrics/cilium"],
        BTreeSet::from(THE_REST.map(str::to_owned))
    );
}

#[test]
fn without_the_minimum_everything_of_cilium_and_hubble_comes_by_the_other_pipeline() {
    let complete = |sent: &Sent| has(sent, "metrics/cilium", &[ASKED_FOR, THE_REST].concat());
    let Some(sent) = sent(Switch::Disabled, Switch::Enabled, complete) else {
        return;
    };
    let all = ASKED_FOR.into_iter().chain(THE_REST).map(str::to_owned);
    assert_eq!(sent["metrics/cilium"], all.collect());
    assert_eq!(sent.len(), 1);
}
