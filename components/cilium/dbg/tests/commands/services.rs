//! Services, and the maps they are in.

use serde_json::json;

use crate::server::Server;
use crate::tables::json_of;

const SERVICES: &str = r#"[
 {"spec":{"id":7,"frontend-address":{"ip":"10.96.0.10","port":53,"protocol":"UDP","scope":"external"},"backend-addresses":[],
   "flags":{"namespace":"kube-system","name":"dns","type":"ClusterIP","trafficPolicy":"Cluster","extTrafficPolicy":"Cluster","intTrafficPolicy":"Local"}},
  "status":{"realized":{"id":7,"frontend-address":{"ip":"10.96.0.10","port":53,"protocol":"UDP","scope":"external"},"backend-addresses":[
    {"ip":"10.244.1.5","port":8080,"protocol":"UDP","nodeName":"worker-1","zone":"north","state":"active"},
    {"ip":"10.244.2.6","port":8080,"protocol":"UDP","nodeName":"worker-2","state":"terminating"}],"flags":{}}}},
 {"spec":{"id":12,"frontend-address":{"ip":"172.30.0.11","port":30080,"protocol":"TCP","scope":"internal"},"backend-addresses":[],
   "flags":{"type":"NodePort","healthCheckNodePort":32000}},
  "status":{"realized":{"id":12,"frontend-address":{"ip":"172.30.0.11","port":30080,"protocol":"TCP","scope":"internal"},"backend-addresses":[],"flags":{}}}},
 {"spec":{"frontend-address":{"ip":"172.30.0.11","port":30080,"protocol":"TCP","scope":"external"},
   "backend-addresses":[{"ip":"10.244.1.5","port":8080,"protocol":"TCP","state":"active"}],"flags":{"type":"NodePort"}},"status":{}}]"#;

#[tokio::test]
async fn services_are_listed_with_those_who_answer_in_ciliums_table() {
    let server = Server::new(&[
        ("GET /v1/service", SERVICES),
        ("GET /v1/service/7", &json_of(SERVICES)[0].to_string()),
    ]);
    let out = server.prints("service list").await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    let first = [
        "ID   Frontend                  Service Type   Backend",
        "7    10.96.0.10:53/UDP         ClusterIP      1 => 10.244.1.5:8080/UDP (active)",
        "                                              2 => 10.244.2.6:8080/UDP (terminating)",
    ];
    assert_eq!(lines[..3], first);
    let others = [
        "12   172.30.0.11:30080/TCP/i   NodePort",
        "-    172.30.0.11:30080/TCP     NodePort       not in the kernel yet",
    ];
    assert_eq!(lines[3..], others);
    assert_eq!(
        json_of(&server.prints("service list -o json").await),
        json_of(SERVICES)
    );
    let one = server.prints("service get 7").await;
    assert_eq!(one.lines().count(), 3, "{one}");
    let name = server.prints("service get 7 -o jsonpath={.spec.flags.name}");
    assert_eq!(name.await, "dns\n");
}

#[tokio::test]
async fn the_maps_of_services_have_a_line_for_each_slot() {
    let maps = r#"[{"frontend":{"ip":"10.96.0.10","port":53,"protocol":"UDP","scope":"external"},"generation":7,
        "backends":[{"ip":"10.244.1.5","port":8053}],"affinity-seconds":60,"inside-only":true,"source-ranges":[],"exclusive":true,"silent":false},
      {"frontend":{"ip":"192.0.2.1","port":80,"protocol":"TCP","scope":"internal"},"generation":8,
        "backends":[],"inside-only":true,"source-ranges":[],"exclusive":false,"silent":false},
      {"frontend":{"ip":"192.0.2.1","port":80,"protocol":"TCP","scope":"external"},"generation":9,
        "backends":[],"inside-only":false,"source-ranges":["198.51.100.0/24"],"exclusive":false,"silent":true}]"#;
    let server = Server::new(&[("GET /v1/gloonet/bpf/lb", maps)]);
    let out = server.prints("bpf lb list").await;
    let lines: Vec<&str> = out.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "SERVICE ADDRESS          BACKEND ADDRESS (REVNAT_ID) (SLOT)",
            "10.96.0.10:53/UDP (0)    0.0.0.0:0 (7) (0) [sessionAffinity, non-routable, exclusive]",
            "10.96.0.10:53/UDP (1)    10.244.1.5:8053/UDP (7) (1)",
            "192.0.2.1:80/TCP/i (0)   0.0.0.0:0 (8) (0) [non-routable]",
            "192.0.2.1:80/TCP (0)     0.0.0.0:0 (9) (0) [check source-range, silent]",
        ]
    );
    let json = json_of(&server.prints("bpf lb list -o json").await);
    assert_eq!(
        json["10.96.0.10:53/UDP (1)"],
        json!(["10.244.1.5:8053/UDP (7) (1)"])
    );
    assert_eq!(json.as_object().unwrap().len(), 4);
}
