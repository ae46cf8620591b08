//! Events as lines.

use serde_json::{Value, json};

use crate::server::Server;

/// A SYN from 10.244.1.5:40000 to 10.244.2.6:80.
const PACKET: &str = "0200000000020200000000010800450000280001000040060000\
                      0af401050af402069c400050000000000000000050020000";

fn event(more: &Value) -> Value {
    let mut event = json!({
        "type": "drop", "time": "2026-01-01T00:00:00Z", "code": 133, "text": "Policy denied",
        "direction": "ingress", "endpoint": 12, "source-identity": 300, "destination-identity": 2,
        "match-type": 2, "cookie": 9, "policies": ["NetworkPolicy shop/deny"], "is-reply": false, "is-new": true,
        "ifindex": 7, "interface": "lxcabc", "length": 54, "packet": PACKET,
    });
    for (key, value) in more.as_object().unwrap() {
        event[key] = value.clone();
    }
    event
}

/// What the events make `command` print; the stream then ends, which is the one failure expected.
async fn printed(command: &str, events: &[Value]) -> Vec<String> {
    let lines: Vec<String> = events.iter().map(ToString::to_string).collect();
    let body = lines.join("\n") + "\n";
    let server = Server::new(&[("GET /v1/gloonet/monitor", &body)]);
    let (out, ended) = server.run(command).await;
    assert!(ended.unwrap_err().to_string().contains("it has ended"));
    out.lines().map(str::to_owned).collect()
}

fn one_of_each() -> [Value; 3] {
    [
        event(&json!({})),
        event(
            &json!({"type": "trace", "code": 4, "text": "to-overlay", "direction": "egress", "endpoint": 13}),
        ),
        event(&json!({"type": "policy-verdict", "code": 0, "text": "allowed"})),
    ]
}

#[tokio::test]
async fn events_are_in_ciliums_wording() {
    assert_eq!(
        printed("monitor", &one_of_each()).await,
        [
            "xx drop (Policy denied) flow 0x0 to endpoint 12, ifindex lxcabc, identity 300->world: 10.244.1.5:40000 -> 10.244.2.6:80 tcp SYN",
            "-> overlay flow 0x0 , identity 300->world state new ifindex lxcabc orig-ip 10.244.1.5: 10.244.1.5:40000 -> 10.244.2.6:80 tcp SYN",
            "Policy verdict log: flow 0x0 local EP ID 12, remote ID 300, proto 6, ingress, action allow, auth: disabled, match L3-L4, 10.244.1.5:40000 -> 10.244.2.6:80 tcp SYN",
        ]
    );
}

#[tokio::test]
async fn events_can_be_chosen_by_type_and_by_endpoint() {
    let types = async |command: &str| {
        let lines = printed(&format!("{command} -o json"), &one_of_each()).await;
        lines
            .iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(types("monitor -t drop").await, ["drop"]);
    assert_eq!(
        types("monitor -t trace,policy-verdict").await,
        ["trace", "policy-verdict"]
    );
    assert_eq!(types("monitor --from 13").await, ["trace"]);
    assert_eq!(types("monitor --to 12").await, ["drop", "policy-verdict"]);
    assert_eq!(
        types("monitor --related-to 12 --related-to 13").await.len(),
        3
    );
    assert_eq!(types("monitor --from 12").await.len(), 0);
}

#[tokio::test]
async fn json_has_ciliums_fields_and_names_the_policies_that_decided() {
    let lines = printed("monitor --json", &[event(&json!({}))]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&lines[0]).unwrap(),
        json!({
            "type": "drop", "time": "2026-01-01T00:00:00Z", "mark": "0x0", "reason": "Policy denied",
            "source": 0, "dstID": 12, "bytes": 54, "srcLabel": 300, "dstLabel": 2, "Ifindex": 7,
            "cookie": 9, "policies": ["NetworkPolicy shop/deny"],
            "summary": {
                "l2": {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"},
                "l3": {"src": "10.244.1.5", "dst": "10.244.2.6"},
                "l4": {"src": "40000", "dst": "80"},
            },
        })
    );
}

#[tokio::test]
async fn what_was_lost_is_said_whatever_is_chosen() {
    let lost = json!({"lost": 17});
    let lines = printed("monitor -t trace", &[lost.clone(), event(&json!({}))]).await;
    assert_eq!(lines, ["CPU 00: Lost 17 events"]);
    let lines = printed("monitor -j", &[lost]).await;
    assert_eq!(
        serde_json::from_str::<Value>(&lines[0]).unwrap(),
        json!({"type": "lost", "lost": 17})
    );
}

#[tokio::test]
async fn more_of_an_event_names_the_policies() {
    let lines = printed("monitor -v -n", &[event(&json!({}))]).await;
    assert!(lines[1].contains("identity 300->2:"), "{lines:?}");
    assert!(
        lines[2].ends_with("cookie 9, policies: NetworkPolicy shop/deny"),
        "{lines:?}"
    );
}
