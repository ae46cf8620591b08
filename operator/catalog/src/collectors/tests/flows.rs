//! Flows from an agent's file to what the collector program sends of them.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use cilium_api::names::HUBBLE_EXPORT_DIR;
use gloonet_api::Switch;
use serde_json::{Value, json};

use super::scrape::Running;
use crate::collectors::Collectors;
use crate::component::tests::{input_of, named, program};
use crate::otelcol::QUEUE_FOLDER;
use crate::otelcol::tests::rendered;
use crate::{Component, Input};

const PATIENCE: Duration = Duration::from_mins(1);

fn on() -> Input {
    input_of(|spec| spec.telemetry.collectors.pipelines.logs_cilium_flows = Switch::Enabled)
}

#[test]
fn agents_write_flows_where_collectors_read_and_for_their_group_only() {
    let agents = crate::cilium_agent::CiliumAgent.objects(&on()).unwrap();
    let config = &named(&agents, "ConfigMap", "cilium-config").data["data"];
    let file = config["hubble-export-file-path"].as_str().unwrap();
    let agent = &named(&agents, "DaemonSet", "cilium").data["spec"]["template"]["spec"];
    let collectors = Collectors.objects(&on()).unwrap();
    let set = named(&collectors, "DaemonSet", super::WORKLOAD.name);
    let collector = &set.data["spec"]["template"]["spec"];
    for (pod, read_only) in [(agent, false), (collector, true)] {
        let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|one| one["name"] == "flows").unwrap();
        assert_eq!(mount["readOnly"] == true, read_only);
        let at = mount["mountPath"].as_str().unwrap();
        assert_eq!(Some(Path::new(at)), Path::new(file).parent());
    }
    let group = &collector["securityContext"]["runAsGroup"];
    assert_eq!(agent["securityContext"]["supplementalGroups"][0], *group);
    assert_eq!(config["hubble-export-file-group"], group.to_string());
    assert_eq!(collector["securityContext"]["runAsNonRoot"], true);
}

#[test]
fn no_folder_of_the_node_is_in_a_collector_and_no_file_in_an_agent_without_need() {
    let off = input_of(|_| {});
    let collectors = Collectors.objects(&off).unwrap();
    let set = named(&collectors, "DaemonSet", super::WORKLOAD.name);
    assert!(!set.data.to_string().contains("hostPath"));
    let agents = crate::cilium_agent::CiliumAgent.objects(&off).unwrap();
    let all: String = agents.iter().map(|one| one.data.to_string()).collect();
    assert!(!all.contains("hubble-export") && !all.contains(HUBBLE_EXPORT_DIR));
}

/// Takes OTLP in JSON over HTTP, and hands on each record with its resource.
fn taker() -> (u16, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, records) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut length = 0;
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                let (name, value) = line.split_once(':').unwrap_or_default();
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{}")
                .unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            for record in records_of(&body) {
                // The test has all it wants.
                let _ended = sender.send(record);
            }
        }
    });
    (port, records)
}

fn records_of(body: &Value) -> Vec<Value> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut records = Vec::new();
    for group in list(&body["resourceLogs"]) {
        for scope in list(&group["scopeLogs"]) {
            let all = list(&scope["logRecords"]);
            let with = |record| json!({"resource": group["resource"], "record": record});
            records.extend(all.into_iter().map(with));
        }
    }
    records
}

/// The rendered file with its receiver of flows as it is, and the taker behind it.
fn here(folder: &Path, port: u16) -> Value {
    let file = rendered(&Collectors, &on(), "gloo-telemetry-collector-config");
    let text = file.to_string();
    let place = |name: &str| folder.join(name).display().to_string();
    let text = text
        .replace(HUBBLE_EXPORT_DIR, &place("flows"))
        .replace(QUEUE_FOLDER, &place("queue"));
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let endpoint = format!("http://127.0.0.1:{port}");
    file["exporters"] =
        json!({"otlp_http": {"endpoint": endpoint, "encoding": "json", "compression": "none"}});
    let kept =
        |parts: &mut Value, name: &str| parts.as_object_mut().unwrap().retain(|one, _| one == name);
    kept(&mut file["receivers"], "file_log/cilium_flows");
    kept(&mut file["extensions"], "file_storage");
    kept(&mut file["service"]["pipelines"], "logs/cilium_flows");
    file["service"]["extensions"] = json!(["file_storage"]);
    file["service"]["pipelines"]["logs/cilium_flows"]["exporters"] = json!(["otlp_http"]);
    file["service"]["telemetry"] = json!({"metrics": {"level": "none"}});
    file
}

fn line(second: u8) -> String {
    let time = format!(
        "2026-11-30T10:{:02}:{:02}.000000007Z",
        second / 60,
        second % 60
    );
    let flow = json!({"time": time, "uuid": format!("u-{second}"), "verdict": "DROPPED"});
    format!(
        "{}\n",
        json!({"flow": flow, "node_name": "west/worker-1", "time": time})
    )
}

fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[test]
fn every_flow_of_a_file_that_is_put_aside_meanwhile_comes_once_with_its_time_and_node() {
    let Some(program) = program("otelcol-contrib") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let flows = folder.path().join("flows");
    for name in ["flows", "queue"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let file = flows.join("events.log");
    append(&file, &line(0));
    let (port, records) = taker();
    let path = folder.path().join("relay.yaml");
    fs::write(&path, here(folder.path(), port).to_string()).unwrap();
    let _running = Running::start(&program, &path);
    // Which of them comes first says that the collector has begun to look.
    let mut first = Err(());
    for second in 1..60 {
        append(&file, &line(second));
        first = records.recv_timeout(Duration::from_secs(2)).map_err(drop);
        if first.is_ok() {
            break;
        }
    }
    let first = first.unwrap();
    append(&file, "no flow\n");
    append(&file, &line(60));
    fs::rename(&file, flows.join("events-1.log")).unwrap();
    append(&file, &line(61));
    // Two files are read at once, so their order is not said.
    let mut seen = vec![number(&first)];
    while ![60, 61].iter().all(|last| seen.contains(last)) {
        seen.push(number(&records.recv_timeout(PATIENCE).unwrap()));
    }
    seen.sort_unstable();
    let all: Vec<u8> = (seen[0]..).take(seen.len() - 2).chain([60, 61]).collect();
    assert_eq!(seen, all);
    let attributes = first["resource"]["attributes"].to_string();
    for (key, value) in [
        ("source", "cilium_flows"),
        ("k8s.node.name", "worker-1"),
        ("cluster_name", "west"),
    ] {
        let pair = json!({"key": key, "value": {"stringValue": value}}).to_string();
        assert!(attributes.contains(&pair), "{attributes}");
    }
    let nanoseconds = first["record"]["timeUnixNano"].as_str().unwrap();
    assert!(nanoseconds.ends_with("000000007"), "{nanoseconds}");
}

/// Of the line it was.
fn number(record: &Value) -> u8 {
    let within = |list: &Value, key: &str| {
        let found = list
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["key"] == key);
        found.unwrap()["value"].clone()
    };
    let body = &record["record"]["body"]["kvlistValue"]["values"];
    let flow = within(body, "flow")["kvlistValue"]["values"].clone();
    let uuid = within(&flow, "uuid");
    let uuid = uuid["stringValue"].as_str().unwrap();
    uuid.strip_prefix("u-").unwrap().parse().unwrap()
}
