//! The agent's socket, spoken to by the plugin's own client; the datapath is the one in memory.

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::node::node;
use cilium_api::NumericIdentity;
use cilium_cni::agent::Agent as Client;
use cilium_cni::environment::{Attachment, Pod, Verb};
use cilium_cni::model::EndpointChangeRequest;
use cilium_cni::netconf;
use cilium_cni::verb::{gc, status};
use datapath::Datapath as _;

async fn add(client: &mut Client, container: &str) -> Ipv4Addr {
    let pod = Pod {
        namespace: "shop".to_owned(),
        name: container.to_owned(),
        uid: "u1".to_owned(),
    };
    let lease = client.lease_address(Some(&pod)).await.unwrap().address;
    let request = EndpointChangeRequest {
        addressing: lease.clone(),
        container_id: container.to_owned(),
        container_interface_name: "eth0".to_owned(),
        host_mac: "02:00:00:00:00:02".to_owned(),
        mac: "02:00:00:00:00:01".to_owned(),
        interface_index: 7,
        interface_name: "lxcabc".to_owned(),
        k8s_namespace: pod.namespace,
        k8s_pod_name: pod.name,
        k8s_uid: pod.uid,
        ..EndpointChangeRequest::default()
    };
    client.put_endpoint(&request).await.unwrap();
    lease.ipv4.unwrap()
}

#[tokio::test]
async fn an_add_and_a_del_go_through_the_socket_into_the_datapath_and_out_again() {
    let node = node("10.244.1.0/24").await;
    let mut client = node.client().await;
    assert_eq!(
        client.configuration().await.unwrap().status.device_mtu,
        1450
    );
    let address = add(&mut client, "abc").await;
    assert_eq!(node.datapath.endpoints().unwrap()[0].ip, address);
    let health = client
        .endpoint_health("abc", "eth0")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(health.overall_health, "OK");
    client.delete_endpoint("abc", "eth0").await.unwrap();
    client.delete_endpoint("abc", "eth0").await.unwrap();
    assert!(node.datapath.endpoints().unwrap().is_empty());
    assert!(
        client
            .endpoint_health("abc", "eth0")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_node_without_free_addresses_says_so_and_undoing_never_frees_a_running_pods() {
    let node = node("10.244.1.0/30").await;
    let mut client = node.client().await;
    let address = add(&mut client, "abc").await;
    let failure = client.lease_address(None).await.unwrap_err();
    assert_eq!(failure.code(), 100);
    assert!(failure.to_string().contains("10.244.1.0/30"), "{failure}");
    assert!(client.release_address(address).await.is_err());
}

#[tokio::test]
async fn gc_frees_what_the_runtime_does_not_name_and_nothing_else() {
    let node = node("10.244.1.0/24").await;
    let mut client = node.client().await;
    let kept = add(&mut client, "kept").await;
    add(&mut client, "stale").await;
    let valid = r#","cni.dev/valid-attachments":[{"containerID":"kept","ifname":"eth0"}]"#;
    gc::gc(&node.conf(valid, Verb::Gc)).await.unwrap();
    let left = node.datapath.endpoints().unwrap();
    assert_eq!(
        left.iter().map(|endpoint| endpoint.ip).collect::<Vec<_>>(),
        [kept]
    );
}

#[tokio::test]
async fn status_is_50_without_an_agent_and_fine_with_one_whose_api_server_is_away() {
    let node = node("10.244.1.0/24").await;
    status::status(&node.conf("", Verb::Status)).await.unwrap();
    let mut away = node.conf("", Verb::Status);
    away.agent_socket = PathBuf::from("/nonexistent/cilium.sock");
    assert_eq!(status::status(&away).await.unwrap_err().code(), 50);
}

#[tokio::test]
async fn del_without_an_agent_is_queued_and_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let mut conf = netconf::parse(
        br#"{"cniVersion":"1.1.0","name":"cilium","type":"cilium-cni"}"#,
        Verb::Del,
    )
    .unwrap();
    conf.agent_socket = folder.path().join("none.sock");
    let attachment = Attachment {
        container_id: "abc".to_owned(),
        ifname: "eth0".to_owned(),
        netns: None,
        pod: None,
    };
    cilium_cni::verb::del::del_with_queue(&conf, &attachment, &folder.path().join("queue"))
        .await
        .unwrap();
    let queue =
        cilium_cni::queue::Queue::lock(&folder.path().join("queue"), Duration::from_secs(1))
            .unwrap();
    assert_eq!(queue.entries().unwrap()[0].1.container_id, "abc");
}

#[tokio::test]
async fn only_root_may_open_the_socket() {
    let node = node("10.244.1.0/24").await;
    let mode = std::fs::metadata(&node.socket)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_endpoint_whose_pods_name_was_lost_stays_who_it_was() {
    let node = node("10.244.1.0/24").await;
    add(&mut node.client().await, "abc").await;
    let known = node.agent.endpoints.list().remove(0);
    let nameless = cilium_agent::endpoint::Endpoint {
        pod: None,
        identity: NumericIdentity(300),
        labels: vec!["k8s:app=web".to_owned()],
        ..known
    };
    let identities = node.agent.identities();
    let judged = node.agent.readmit(&nameless, &identities).unwrap().unwrap();
    assert_eq!(judged.identity.number, NumericIdentity(300));
    assert_eq!(judged.identity.labels, ["k8s:app=web"]);
}
