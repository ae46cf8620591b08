//! What labels say of the ends.

use super::*;
use crate::metrics::seen::reserved;

#[test]
fn each_context_names_an_end_in_its_way() {
    let source = |context: &str, event: &PacketEvent| {
        let series = counted(&format!("tcp:sourceContext={context}"), &[*event]);
        let (_, value) = series[0].split_once("source=").unwrap();
        value.strip_suffix(" 1").unwrap().to_owned()
    };
    let pod = event(TO_WEB, &tcp(WEB, CLIENT, 80, 40000, SYN), 1);
    let named = [
        (
            "identity",
            "k8s:app=web,k8s:io.cilium.k8s.policy.cluster=east,k8s:io.kubernetes.pod.namespace=default",
        ),
        ("namespace", "default"),
        ("pod", "default/web-1"),
        ("pod-name", "web-1"),
        ("ip", "10.0.1.2"),
        ("reserved-identity", ""),
        ("workload", "default/web"),
        ("workload-name", "web"),
        ("app", "web"),
        ("reserved-identity|pod|ip", "default/web-1"),
    ];
    for (context, value) in named {
        assert_eq!(source(context, &pod), value, "{context}");
    }
    let world = PacketEvent {
        source_identity: 2,
        ..event(TO_WEB, &tcp(WORLD, WEB, 1, 80, SYN), 1)
    };
    let named = [
        ("identity", "reserved:world"),
        ("reserved-identity", "reserved:world"),
        ("pod", ""),
        ("workload", ""),
        ("namespace|ip", "203.0.113.9"),
    ];
    for (context, value) in named {
        assert_eq!(source(context, &world), value, "{context}");
    }
}

#[test]
fn of_several_reserved_labels_the_api_servers_goes_first() {
    let of = |labels: &[&str]| {
        let labels: Vec<String> = labels.iter().map(|&label| label.to_owned()).collect();
        reserved(&labels)
    };
    let server = "reserved:kube-apiserver";
    assert_eq!(of(&["k8s:app=web", "reserved:host", server]), server);
    assert_eq!(of(&["reserved:host", "reserved:world"]), "reserved:host");
    assert_eq!(of(&["k8s:app=web"]), "");
}

#[test]
fn a_direction_may_have_contexts_of_its_own() {
    let entry = "tcp:sourceContext=namespace;sourceEgressContext=pod;destinationIngressContext=workload-name";
    let ingress = at(1);
    let egress = event(TO_WEB, &tcp(WEB, CLIENT, 1, 80, SYN), 1);
    let neither = PacketEvent {
        endpoint_id: 0,
        ..ingress
    };
    assert_eq!(
        counted(entry, &[ingress]),
        ["flag=SYN,family=IPv4,source=shop,destination=web 1"]
    );
    assert_eq!(
        counted(entry, &[egress]),
        ["flag=SYN,family=IPv4,source=default/web-1,destination= 1"]
    );
    assert_eq!(
        counted(entry, &[neither]),
        ["flag=SYN,family=IPv4,source=shop,destination= 1"]
    );
}

#[test]
fn labels_of_their_own_name_come_as_they_were_asked_for() {
    let entry = "tcp:labelsContext=destination_workload_kind,source_pod,source_app,destination_ip,traffic_direction,source_workload_kind";
    assert_eq!(
        counted(entry, &[at(1)]),
        [
            "flag=SYN,family=IPv4,destination_workload_kind=Deployment,source_pod=client-1,source_app=client,\
             destination_ip=10.0.1.2,traffic_direction=ingress,source_workload_kind=StatefulSet 1"
        ]
    );
}
