//! Shapes of tables and of JSON, against answers as an agent gives them.

use serde_json::{Value, json};

use crate::server::Server;

const ENDPOINTS: &str = r#"[{"id":12,"status":{"state":"ready",
 "external-identifiers":{"container-id":"abc","cni-attachment-id":"abc:eth0","k8s-namespace":"shop","k8s-pod-name":"web","container-interface-name":"eth0"},
 "identity":{"id":300,"labels":["k8s:b=2","k8s:a=1"]},
 "labels":{"security-relevant":["k8s:b=2","k8s:a=1"]},
 "networking":{"addressing":[{"ipv4":"10.244.1.5"}],"host-mac":"02:00:00:00:00:02","interface-index":7,"interface-name":"lxcabc","mac":"02:00:00:00:00:01"},
 "policy":{"realized":{"id":300,"policy-enabled":"ingress"}}}}]"#;

pub(crate) const HEALTHZ: &str = r#"{"cilium":{"state":"Ok","msg":"OK"},"kubernetes":{"state":"Ok","msg":"1.36 (API server reached)"},
 "kube-proxy-replacement":{"mode":"True","features":{"bpfSocketLBHostnsOnly":false,"socketLB":{"enabled":true},"nodePort":{"enabled":true,"mode":"SNAT","algorithm":"Maglev","acceleration":"Disabled","lutSize":16381},"hostPort":{"enabled":true},"externalIPs":{"enabled":true},"sessionAffinity":{"enabled":true},"gracefulTermination":{"enabled":true}}},"ipam":{"status":"2/254 addresses in use","allocations":{"10.244.1.5":"shop/web","10.244.1.1":"router"}},
 "policy":{"state":"Ok","msg":"3 policies"},"cni":{"state":"Ok","msg":"ADD can be served"},
 "routing":{"inter-host-routing-mode":"Tunnel","intra-host-routing-mode":"BPF","tunnel-protocol":"vxlan"},"encryption":{"mode":"Disabled"}}"#;

const IDENTITIES: &str = r#"[{"id":2,"labels":["reserved:world"],"labelsSHA256":""},
 {"id":300,"labels":["k8s:app=web","k8s:io.kubernetes.pod.namespace=shop"],"labelsSHA256":"00"}]"#;

pub(crate) fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn endpoints_are_listed_in_ciliums_table() {
    let server = Server::new(&[("GET /v1/endpoint", ENDPOINTS)]);
    let expected = [
        "ENDPOINT   POLICY (ingress)   POLICY (egress)   IDENTITY   LABELS (source:key[=value])   IPv6   IPv4         STATUS",
        "           ENFORCEMENT        ENFORCEMENT",
        "12         Enabled            Disabled          300        k8s:a=1                              10.244.1.5   ready",
        "                                                           k8s:b=2",
    ];
    let out = server.prints("endpoint list").await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert_eq!(lines, expected);
    let bare = server.prints("endpoint list --no-headers").await;
    assert!(bare.starts_with("12 "), "{bare}");
}

#[tokio::test]
async fn json_is_the_agents_answer_and_a_path_into_it_the_bare_value() {
    let server = Server::new(&[
        ("GET /v1/endpoint", ENDPOINTS),
        ("GET /v1/endpoint/12", &json_of(ENDPOINTS)[0].to_string()),
        ("GET /v1/policy", r#"{"revision":7,"policy":"[]"}"#),
        ("GET /v1/healthz", HEALTHZ),
    ]);
    assert_eq!(
        json_of(&server.prints("endpoint list -o json").await),
        json_of(ENDPOINTS)
    );
    assert_eq!(
        json_of(&server.prints("endpoint get 12").await),
        json_of(ENDPOINTS)
    );
    assert_eq!(
        json_of(&server.prints("status -o json").await),
        json_of(HEALTHZ)
    );
    let revision = server.prints("policy get -o jsonpath='{.revision}'").await;
    assert_eq!(revision, "7\n");
    assert_eq!(server.prints("policy get").await, "[]\nRevision: 7\n");
}

#[tokio::test]
async fn a_version_says_both_ends_and_an_agent_that_is_away_is_no_failure() {
    let own = env!("CARGO_PKG_VERSION");
    let server = Server::new(&[(
        "GET /v1/debuginfo",
        r#"{"cilium-version":"9.8.7 abc linux/x"}"#,
    )]);
    let daemon = server
        .prints("version -o jsonpath={$.Daemon.Version}")
        .await;
    assert_eq!(daemon, "9.8.7\n");
    let client = server.prints("version -o jsonpath={.Client.Version}").await;
    assert_eq!(client, format!("{own}\n"));
    let away = Server::new(&[]).prints("version").await;
    assert!(away.ends_with("Daemon: Not responding\n"), "{away}");
}

#[tokio::test]
async fn status_is_ciliums_and_its_end_says_whether_the_agent_is_well() {
    let server = Server::new(&[("GET /v1/healthz", HEALTHZ)]);
    let out = server.prints("status --verbose").await;
    for line in [
        "KubeProxyReplacement:   True   ",
        "Cilium:                 Ok   OK",
        "IPAM:                   2/254 addresses in use",
        "  10.244.1.5 (shop/web)",
        "Encryption:   Disabled   ",
        "  Backend Selection:   Maglev (Table Size: 16381)",
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} is not in\n{out}");
    }
    let mut older = json_of(HEALTHZ);
    let balancing = older["kube-proxy-replacement"].as_object_mut().unwrap();
    balancing.remove("features").unwrap();
    let older = older.to_string();
    let older = Server::new(&[("GET /v1/healthz", &older)]);
    let out = older.prints("status --verbose").await;
    assert!(!out.contains("Backend Selection"), "{out}");
    assert!(!server.prints("status").await.contains("10.244.1.5"));
    let native = HEALTHZ.replace(r#""Tunnel","#, r#""Native","#);
    let native = native.replace(r#","tunnel-protocol":"vxlan""#, "");
    for (answer, said) in [
        (HEALTHZ, "Network: Tunnel [vxlan]   Host: BPF"),
        (&native, "Network: Native   Host: BPF"),
    ] {
        let out = Server::new(&[("GET /v1/healthz", answer)])
            .prints("status")
            .await;
        assert!(out.contains(said), "{said:?} is not in\n{out}");
    }
    assert_eq!(server.prints("status --brief").await, "OK\n");
    let ill = HEALTHZ.replace(
        r#""cilium":{"state":"Ok","msg":"OK"}"#,
        r#""cilium":{"state":"Warning","msg":"network: map full"}"#,
    );
    let server = Server::new(&[("GET /v1/healthz", &ill)]);
    let (out, ended) = server.run("status --brief").await;
    assert_eq!(out, "error in cilium: network: map full\n");
    assert!(ended.is_err());
}

#[tokio::test]
async fn encryption_is_said_to_be_off() {
    let server = Server::new(&[("GET /v1/healthz", HEALTHZ)]);
    let out = server.prints("encrypt status").await;
    assert_eq!(out.trim_end(), "Encryption: Disabled");
    let json = server.prints("encrypt status -o json").await;
    assert_eq!(json_of(&json), json!({"mode": "Disabled"}));
}

#[tokio::test]
async fn identities_can_be_listed_by_their_labels_and_got_by_number() {
    let server = Server::new(&[
        ("GET /v1/identity", IDENTITIES),
        ("GET /v1/identity/300", &json_of(IDENTITIES)[1].to_string()),
    ]);
    assert_eq!(
        server.prints("identity list").await,
        "ID    LABELS\n2     reserved:world\n300   k8s:app=web\n      k8s:io.kubernetes.pod.namespace=shop\n"
    );
    let one = server.prints("identity list k8s:app=web -o json").await;
    assert_eq!(json_of(&one)[0]["id"], 300);
    assert_eq!(json_of(&one).as_array().unwrap().len(), 1);
    let got = server.prints("identity get 300 -o json").await;
    assert_eq!(json_of(&got)[0], json_of(IDENTITIES)[1]);
}

#[tokio::test]
async fn addresses_show_the_names_of_their_identities_unless_numbers_are_wanted() {
    let ips = r#"[{"cidr":"0.0.0.0/0","identity":2,"encryptKey":0},
      {"cidr":"10.244.2.6/32","identity":300,"hostIP":"172.30.0.12","encryptKey":0,"metadata":{"source":"custom-resource","namespace":"shop","name":"web"}}]"#;
    let server = Server::new(&[("GET /v1/ip", ips), ("GET /v1/identity", IDENTITIES)]);
    assert_eq!(
        server.prints("ip list").await,
        "IP              IDENTITY                               SOURCE\n\
         0.0.0.0/0       world                                  \n\
         10.244.2.6/32   k8s:app=web                            custom-resource\n\
         \u{20}               k8s:io.kubernetes.pod.namespace=shop   \n"
    );
    assert_eq!(
        server.prints("ip list -n -v").await,
        "IP              IDENTITY   SOURCE            HOST          ENCRYPT_KEY\n\
         0.0.0.0/0       2                                          0\n\
         10.244.2.6/32   300        custom-resource   172.30.0.12   0\n"
    );
    assert_eq!(
        json_of(&server.prints("ip list -o json").await),
        json_of(ips)
    );
}

#[tokio::test]
async fn nodes_are_listed_with_their_ranges() {
    let nodes = r#"{"nodes-added":[{"name":"west/worker-1","primary-address":{"ipv4":{"alloc-range":"10.244.1.0/24","enabled":true,"ip":"172.30.0.11"}},"source":"local"}]}"#;
    let server = Server::new(&[("GET /v1/cluster/nodes", nodes)]);
    assert_eq!(
        server.prints("node list").await,
        "Name            IPv4 Address   Endpoint CIDR   IPv6 Address   Endpoint CIDR   Source\n\
         west/worker-1   172.30.0.11    10.244.1.0/24                                  local\n"
    );
    let json = server.prints("node list -o jsonpath={[0].name}").await;
    assert_eq!(json, "west/worker-1\n");
}

#[tokio::test]
async fn metrics_are_what_cilium_cli_filters_with_jq() {
    let metrics = r#"[{"name":"cilium_drop_count_total","labels":{"direction":"EGRESS","reason":"Missed tail call"},"value":3.0},
      {"name":"cilium_endpoint_state","labels":{},"value":1.0}]"#;
    let server = Server::new(&[("GET /v1/metrics", metrics)]);
    assert_eq!(
        json_of(&server.prints("metrics list -o json").await),
        json_of(metrics)
    );
    assert_eq!(
        server.prints("metrics list -p drop_count").await,
        "Metric                    Labels                                         Value\n\
         cilium_drop_count_total   direction=\"EGRESS\" reason=\"Missed tail call\"   3.000000\n"
    );
}

#[tokio::test]
async fn maps_of_addresses_and_endpoints_are_in_ciliums_words() {
    let server = Server::new(&[
        (
            "GET /v1/gloonet/bpf/ipcache",
            r#"[{"prefix":"10.244.2.6/32","identity":300,"tunnel-endpoint":"172.30.0.12"},{"prefix":"172.30.0.11/32","identity":1}]"#,
        ),
        (
            "GET /v1/gloonet/bpf/endpoint",
            r#"[{"ip":"10.244.1.5","id":12,"identity":300,"ifindex":7,"mac":"02:00:00:00:00:01","node-mac":"02:00:00:00:00:02"}]"#,
        ),
    ]);
    let ipcache = server.prints("bpf ipcache list").await;
    let lines: Vec<&str> = ipcache.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "IP PREFIX/ADDRESS   IDENTITY",
            "10.244.2.6/32       identity=300 encryptkey=0 tunnelendpoint=172.30.0.12 flags=hastunnel",
            "172.30.0.11/32      identity=1 encryptkey=0 tunnelendpoint=0.0.0.0 flags=<none>",
        ]
    );
    assert_eq!(
        json_of(&server.prints("bpf endpoint list -o json").await),
        json!({"10.244.1.5": ["id=12    sec_id=300   flags=0x0000 ifindex=7   mac=02:00:00:00:00:01 nodemac=02:00:00:00:00:02"]})
    );
}

#[tokio::test]
async fn the_policy_of_an_endpoint_shows_whom_it_lets_through() {
    let entries = r#"[
      {"Key":{"Prefixlen":64,"Identity":300,"TrafficDirection":0,"Nexthdr":6,"DestPort":80},"Verdict":"allow","Cookie":9},
      {"Key":{"Prefixlen":40,"Identity":0,"TrafficDirection":1,"Nexthdr":0,"DestPort":0},"Verdict":"default-deny","Cookie":4}]"#;
    let server = Server::new(&[
        ("GET /v1/gloonet/bpf/policy/12", entries),
        (
            "GET /v1/gloonet/bpf/policy",
            r#"[{"endpoint":12,"policy":3}]"#,
        ),
        ("GET /v1/identity", IDENTITIES),
    ]);
    let out = server.prints("bpf policy get 12").await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "POLICY        DIRECTION   LABELS (source:key[=value])            PORT/PROTO   PROXY PORT   AUTH TYPE   BYTES   PACKETS   PREFIX   COOKIE",
            "Allow         Ingress     k8s:app=web                            80/TCP       NONE         disabled    -       -         24       9",
            "                          k8s:io.kubernetes.pod.namespace=shop",
            "DefaultDeny   Egress      ANY                                    ANY          NONE         disabled    -       -         0        4",
        ]
    );
    assert_eq!(
        json_of(&server.prints("bpf policy get 12 -o json").await),
        json_of(entries)
    );
    let all = server.prints("bpf policy get --all").await;
    assert!(
        all.starts_with("Endpoint ID: 12\nPolicy: 3\n\nPOLICY"),
        "{all}"
    );
    let all = json_of(&server.prints("bpf policy get --all -o json").await);
    assert_eq!(all[0]["EndpointID"], "12");
    assert_eq!(all[0]["Content"], json_of(entries));
}

#[tokio::test]
async fn connections_are_printed_one_by_one_and_as_one_list_of_json() {
    let record = |port: u16| {
        json!({
            "Key": {"SourceAddr": "10.244.1.5", "SourcePort": 40000, "DestAddr": "10.244.2.6", "DestPort": port, "NextHeader": 6, "Direction": "OUT"},
            "Value": {"Lifetime": 53, "TxPackets": 4, "TxBytes": 400, "RxPackets": 3, "RxBytes": 300, "TxFlagsSeen": 27, "RxFlagsSeen": 18,
                "SeenReply": true, "Closing": false, "SourceSecurityID": 300, "DestSecurityID": 301},
        })
    };
    let body = format!("{}\n{}\n", record(80), record(81));
    let server = Server::new(&[
        ("GET /v1/gloonet/bpf/ct", &body),
        ("DELETE /v1/gloonet/bpf/ct", r#"{"deleted":2}"#),
    ]);
    let out = server.prints("bpf ct list global").await;
    assert_eq!(
        out.lines().next().unwrap(),
        "TCP OUT 10.244.1.5:40000 -> 10.244.2.6:80 remaining=53s TxPackets=4 TxBytes=400 TxFlagsSeen=0x1b RxPackets=3 RxBytes=300 RxFlagsSeen=0x12 Flags=[ SeenReply ] SourceSecurityID=300 DestSecurityID=301"
    );
    assert_eq!(
        json_of(&server.prints("bpf ct list -o json").await),
        json!([record(80), record(81)])
    );
    let flushed = server.prints("bpf ct flush global").await;
    assert_eq!(flushed, "Flushed 2 entries\n");
    let empty = Server::new(&[("GET /v1/gloonet/bpf/ct", "")]);
    assert_eq!(empty.prints("bpf ct list -o json").await, "[]\n");
}

#[tokio::test]
async fn selectors_show_who_uses_them_and_whom_they_select() {
    let selectors = r#"[{"selector":"k8s:app=web","identities":[300,301],"users":1,"labels":[[
      {"key":"io.cilium.k8s.policy.name","source":"k8s","value":"allow-web"},
      {"key":"io.cilium.k8s.policy.namespace","source":"k8s","value":"shop"}]]},
      {"selector":"k8s:app=none","identities":[],"users":2,"labels":[]}]"#;
    let server = Server::new(&[("GET /v1/policy/selectors", selectors)]);
    let out = server.prints("policy selectors").await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "SELECTOR       LABELS           USERS   IDENTITIES",
            "k8s:app=web    shop/allow-web   1       300",
            "                                        301",
            "k8s:app=none                    2",
        ]
    );
}
