//! `cilium-health`, and what `cilium-dbg status` says of the cluster.

use std::process::Command;

use cilium_dbg::{Error, cilium_health};
use clap::Parser as _;
use serde_json::json;

use crate::server::Server;
use crate::tables::{HEALTHZ, json_of};

const HEALTH: &str = r#"{"local":{"name":"west/worker-1"},"timestamp":"2026-01-01T00:00:09Z","probeInterval":"1m56s","nodes":[
 {"name":"west/control-plane","host":{"primary-address":{"ip":"172.30.0.10",
   "icmp":{"latency":412000,"lastProbed":"2026-01-01T00:00:07Z"},"http":{"latency":1200000,"lastProbed":"2026-01-01T00:00:07Z"}}},
  "health-endpoint":{"primary-address":{"ip":"10.244.0.1",
   "icmp":{"latency":500000,"lastProbed":"2026-01-01T00:00:07Z"},"http":{"status":"no answer within 5s","lastProbed":"2026-01-01T00:00:07Z"}}}},
 {"name":"west/worker-1","host":{"primary-address":{"ip":"172.30.0.11",
   "icmp":{"latency":30000,"lastProbed":"2026-01-01T00:00:08Z"},"http":{"latency":90000,"lastProbed":"2026-01-01T00:00:08Z"}}},
  "health-endpoint":{"primary-address":{"ip":"10.244.1.1",
   "icmp":{"latency":30000,"lastProbed":"2026-01-01T00:00:08Z"},"http":{"latency":90000,"lastProbed":"2026-01-01T00:00:08Z"}}}},
 {"name":"west/worker-2","host":{"primary-address":{"ip":"172.30.0.12"}}}]}"#;

impl Server {
    async fn health(&self, command: &str) -> (String, Result<(), Error>) {
        let socket = self.socket();
        let mut words = vec!["cilium-health", "--host", socket.to_str().unwrap()];
        words.extend(command.split_whitespace());
        let arguments = cilium_health::Arguments::try_parse_from(words).unwrap();
        let mut out = Vec::new();
        let ended = cilium_health::run(&arguments, &mut out).await;
        (String::from_utf8(out).unwrap(), ended)
    }
}

#[tokio::test]
async fn each_node_has_a_line_as_in_upstreams_table_this_one_first() {
    let server = Server::new(&[("GET /v1/gloonet/health", HEALTH)]);
    let expected = "Cluster health:               2/3 reachable   (2026-01-01T00:00:09Z)   (Probe interval: 1m56s)\n\
                    Name                          IP              Node                     Endpoints\n\
                    \u{20} west/worker-1 (localhost)   172.30.0.11     1/1                      1/1\n\
                    \u{20} west/control-plane          172.30.0.10     1/1                      0/1\n\
                    \u{20} west/worker-2               172.30.0.12     0/1 (1 unknown)          0/0\n";
    for command in ["status", "status --succinct", "connectivity"] {
        let (out, ended) = server.health(command).await;
        ended.unwrap();
        assert_eq!(out, expected, "{command}");
    }
}

#[tokio::test]
async fn every_path_is_shown_with_what_it_said_when_asked_for() {
    let server = Server::new(&[("GET /v1/gloonet/health", HEALTH)]);
    let (out, _) = server.health("status --verbose").await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    for line in [
        "  west/worker-1 (localhost):",
        "    Host connectivity to 172.30.0.10:",
        "      ICMP to stack:   OK, RTT=412µs           (Last probed: 2026-01-01T00:00:07Z)",
        "      HTTP to agent:   no answer within 5s   (Last probed: 2026-01-01T00:00:07Z)",
        "    Endpoint connectivity:   nil",
    ] {
        let same = |other: &&str| {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            words(other) == words(line) && other.starts_with(&line[..4])
        };
        assert!(lines.iter().any(same), "{line:?} is not in\n{out}");
    }
}

#[tokio::test]
async fn json_is_the_agents_answer_and_a_probe_is_asked_for_only_when_wanted() {
    let probed = HEALTH.replace("00:00:09Z", "00:01:00Z");
    let server = Server::new(&[
        ("GET /v1/gloonet/health", HEALTH),
        ("PUT /v1/gloonet/health/probe", &probed),
    ]);
    let (out, _) = server.health("status -o json").await;
    assert_eq!(json_of(&out), json_of(HEALTH));
    // Word by word as cilium-cli asks.
    let (out, _) = server.health("status --probe -o=json").await;
    assert_eq!(json_of(&out), json_of(&probed));
    let (out, _) = server.health("status --probe").await;
    assert!(out.contains("(2026-01-01T00:01:00Z)"), "{out}");
}

#[tokio::test]
async fn a_ping_is_ok_when_the_agent_probes_and_an_error_with_its_reason_otherwise() {
    let server = Server::new(&[("GET /v1/gloonet/health", HEALTH)]);
    let (out, ended) = server.health("ping").await;
    ended.unwrap();
    assert_eq!(out, "OK\n");
    let (out, ended) = Server::new(&[]).health("ping").await;
    assert_eq!(out, "");
    let error = ended.unwrap_err().to_string();
    assert!(
        error.contains("nothing at GET /v1/gloonet/health"),
        "{error}"
    );
}

#[tokio::test]
async fn status_counts_nodes_and_names_those_that_are_not_reached() {
    let mut healthz = json_of(HEALTHZ);
    healthz["cluster"] =
        json!({"ciliumHealth": {"state": "Ok", "msg": ""}, "nodes": [], "self": "west/worker-1"});
    let text = healthz.to_string();
    let server = Server::new(&[
        ("GET /v1/healthz", &text),
        ("GET /v1/gloonet/health", HEALTH),
    ]);
    let out = server.prints("status").await;
    let words: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let has = |line: &str| words.contains(&line.split_whitespace().collect());
    assert!(
        has("Cluster health: 2/3 reachable (2026-01-01T00:00:09Z) (Probe interval: 1m56s)"),
        "{out}"
    );
    assert!(has("west/control-plane 172.30.0.10 1/1 0/1"), "{out}");
    assert!(has("Cilium health daemon: Ok"), "{out}");
    assert!(!out.contains("worker-2"), "{out}");
    let out = server.prints("status --verbose").await;
    assert!(out.contains("Host connectivity to 172.30.0.12:"), "{out}");
    let away = Server::new(&[("GET /v1/healthz", &text)])
        .prints("status")
        .await;
    assert!(away.contains("nothing at GET /v1/gloonet/health"), "{away}");
    healthz["cluster"]["ciliumHealth"]["state"] = json!("Disabled");
    let server = Server::new(&[("GET /v1/healthz", &healthz.to_string())]);
    let off = server.prints("status").await;
    assert!(
        off.lines().any(|line| line.ends_with("Probe disabled")),
        "{off}"
    );
}

#[tokio::test]
async fn no_more_than_ten_nodes_that_are_not_reached_are_named() {
    let unreached = &json_of(HEALTH)["nodes"][0];
    let mut health = json_of(HEALTH);
    health["nodes"] = (0..12)
        .map(|number| {
            let mut node = unreached.clone();
            node["name"] = json!(format!("west/node-{number:02}"));
            node
        })
        .collect();
    let mut healthz = json_of(HEALTHZ);
    healthz["cluster"] =
        json!({"ciliumHealth": {"state": "Ok", "msg": ""}, "nodes": [], "self": "west/worker-1"});
    let server = Server::new(&[
        ("GET /v1/healthz", &healthz.to_string()),
        ("GET /v1/gloonet/health", &health.to_string()),
    ]);
    let out = server.prints("status").await;
    assert!(out.contains("0/12 reachable"), "{out}");
    assert!(
        out.contains("west/node-09") && !out.contains("west/node-10"),
        "{out}"
    );
    assert!(out.ends_with("  ...\n"), "{out}");
}

#[test]
fn the_program_is_the_one_it_is_called_by_the_name_of() {
    let folder = tempfile::tempdir().unwrap();
    for (name, says) in [
        ("cilium-health", "cilium-health "),
        ("cilium", "cilium-dbg "),
    ] {
        let link = folder.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cilium-dbg"), &link).unwrap();
        let output = Command::new(&link).arg("--version").output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.starts_with(says), "{name}: {said}");
    }
}
