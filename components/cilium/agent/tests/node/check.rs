//! CHECK: it says what is no longer as ADD left it.

use std::process::Command;

use cilium_cni::environment::Verb;
use cilium_cni::error::Failure;
use cilium_cni::result::Made;
use cilium_cni::verb::{add, check, host_interface};
use cilium_cni::version::Version;
use datapath::Datapath as _;
use datapath::link::{Netlink, Route};
use serde_json::{Value, json};

use crate::node::Node;
use crate::plugin::{Namespace, attachment, namespace, on_a_node};

struct Added {
    node: Node,
    pod: Namespace,
    made: Made,
    result: Value,
}

impl Added {
    /// With the node's side up, as the programs leave it.
    async fn new(node: Node) -> Self {
        let pod = namespace();
        let conf = node.conf("", Verb::Add);
        let made = add::add(&conf, &attachment("abc", Some(&pod)))
            .await
            .unwrap();
        let mut host = Netlink::new().unwrap();
        let link = host.link(&made.host.name).unwrap().unwrap();
        host.set_up(link.index).unwrap();
        let result = made.to_json(Version::V1_1_0);
        Self {
            node,
            pod,
            made,
            result,
        }
    }

    async fn check(&self) -> Result<(), Failure> {
        let extra = format!(r#","prevResult":{}"#, self.result);
        let conf = self.node.conf(&extra, Verb::Check);
        check::check(&conf, &attachment("abc", Some(&self.pod))).await
    }

    /// What is not as it was.
    async fn wrong(&self) -> String {
        let failure = self.check().await.unwrap_err();
        assert_eq!(failure.code(), 103, "{failure}");
        failure.to_string()
    }

    fn inside(&self) -> (Netlink, u32) {
        let mut pod = Netlink::in_namespace(&self.pod.path).unwrap();
        let index = pod.link("eth0").unwrap().unwrap().index;
        (pod, index)
    }
}

/// Runs a test on a node with a pod that CHECK finds nothing wrong with.
fn with_a_pod<F: Future<Output = ()>>(test: impl FnOnce(Added) -> F + Send + 'static) {
    on_a_node(|node| async move {
        let added = Added::new(node).await;
        added.check().await.unwrap();
        test(added).await;
    });
}

#[test]
fn a_container_the_agent_does_not_know_and_one_its_datapath_does_not_are_told_apart() {
    with_a_pod(|added| async move {
        let id = added.node.datapath.endpoints().unwrap()[0].id;
        added.node.datapath.remove_endpoint(id).unwrap();
        let wrong = added.wrong().await;
        assert!(wrong.starts_with("the endpoint's datapath"), "{wrong}");
        let key = added.node.agent.endpoints.list()[0].attachment.clone();
        added.node.agent.endpoints.delete(&key).unwrap();
        let wrong = added.wrong().await;
        assert!(wrong.contains("it does not know this container"), "{wrong}");
    });
}

#[test]
fn an_address_that_is_gone_is_named() {
    with_a_pod(|added| async move {
        let (mut pod, index) = added.inside();
        pod.delete_address(index, added.made.address.into())
            .unwrap();
        let wrong = added.wrong().await;
        let named = format!(
            "address {} of interface eth0 (it is missing)",
            added.made.address
        );
        assert!(wrong.starts_with(&named), "{wrong}");
    });
}

#[test]
fn another_hardware_address_is_named() {
    with_a_pod(|mut added| async move {
        added.result["interfaces"][1]["mac"] = json!("02:00:00:00:00:99");
        let wrong = added.wrong().await;
        assert!(
            wrong.starts_with("the hardware address of interface eth0"),
            "{wrong}"
        );
    });
}

#[test]
fn a_default_route_that_is_gone_is_named() {
    with_a_pod(|added| async move {
        let (mut pod, index) = added.inside();
        let route = Route {
            destination: "0.0.0.0/0".parse().unwrap(),
            device: Some(index),
            gateway: Some(added.made.gateway),
            source: None,
            mtu: None,
        };
        assert!(pod.delete_route(&route).unwrap());
        let wrong = added.wrong().await;
        assert!(
            wrong.starts_with("the default route of interface eth0"),
            "{wrong}"
        );
    });
}

#[test]
fn a_node_s_side_that_is_down_or_has_another_name_is_named() {
    with_a_pod(|mut added| async move {
        let name = host_interface("abc", "eth0");
        let set = Command::new("ip")
            .args(["link", "set", &name, "down"])
            .status();
        assert!(set.unwrap().success());
        let wrong = added.wrong().await;
        assert!(
            wrong.starts_with(&format!("interface {name} of the node (it is down)")),
            "{wrong}"
        );
        added.result["interfaces"][0]["name"] = json!("lxc-other");
        let wrong = added.wrong().await;
        assert!(
            wrong.starts_with("interface lxc-other of the node (it is missing)"),
            "{wrong}"
        );
    });
}

#[test]
fn an_interface_that_is_down_and_then_gone_is_named() {
    with_a_pod(|added| async move {
        let set = Command::new("nsenter")
            .arg(format!("--net={}", added.pod.path.display()))
            .args(["ip", "link", "set", "eth0", "down"])
            .status();
        assert!(set.unwrap().success());
        let wrong = added.wrong().await;
        assert!(
            wrong.starts_with("interface eth0 of the container (it is down)"),
            "{wrong}"
        );
        let (mut pod, _) = added.inside();
        assert!(pod.delete("eth0").unwrap());
        let wrong = added.wrong().await;
        assert!(
            wrong.starts_with("interface eth0 of the container (it is missing)"),
            "{wrong}"
        );
    });
}
