//! The plugin's verbs in real network namespaces, against an agent whose datapath is the one in memory. Needs root.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc;

use crate::node::{Node, node};
use cilium_cni::environment::{Attachment, Verb};
use cilium_cni::plugin;
use cilium_cni::result::Made;
use cilium_cni::verb::{add, del, host_interface};
use datapath::Datapath as _;
use datapath::link::{Netlink, inspect_pod_link};
use nix::sched::{CloneFlags, unshare};

/// A network namespace that lives as long as this.
pub(crate) struct Namespace {
    pub(crate) path: PathBuf,
    _open: File,
    _end: mpsc::Sender<()>,
}

/// Made by a thread that stays in it, since a path to a namespace is a path to a thread.
pub(crate) fn namespace() -> Namespace {
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let path = PathBuf::from(format!(
            "/proc/{}/task/{}/ns/net",
            std::process::id(),
            nix::unistd::gettid()
        ));
        tell.send(path).unwrap();
        let _ = ended.recv();
    });
    let path: PathBuf = told.recv().unwrap();
    Namespace {
        _open: File::open(&path).unwrap(),
        path,
        _end: end,
    }
}

pub(crate) fn on_a_node<F: Future<Output = ()>>(test: impl FnOnce(Node) -> F + Send + 'static) {
    apart(|| async { test(node("10.244.1.0/24").await).await });
}

/// Runs a test on a thread with a network namespace of its own: the node's.
pub(crate) fn apart<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let ran = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(test());
    })
    .join();
    if let Err(panic) = ran {
        std::panic::resume_unwind(panic);
    }
}

pub(crate) fn attachment(container: &str, netns: Option<&Namespace>) -> Attachment {
    Attachment {
        container_id: container.to_owned(),
        ifname: "eth0".to_owned(),
        netns: netns.map(|namespace| namespace.path.clone()),
        pod: None,
    }
}

async fn do_add(node: &Node, container: &str, netns: &Namespace) -> Result<Made, u32> {
    let conf = node.conf("", Verb::Add);
    add::add(&conf, &attachment(container, Some(netns)))
        .await
        .map_err(|failure| failure.code())
}

async fn do_del(node: &Node, container: &str) {
    let conf = node.conf("", Verb::Del);
    del::del_with_queue(
        &conf,
        &attachment(container, None),
        &node.folder.path().join("queue"),
    )
    .await
    .unwrap();
}

pub(crate) fn host_link(container: &str) -> bool {
    Netlink::new()
        .unwrap()
        .link(&host_interface(container, "eth0"))
        .unwrap()
        .is_some()
}

#[test]
fn add_gives_the_pod_its_address_and_del_takes_everything_back_without_the_namespace() {
    on_a_node(|node| async move {
        let pod = namespace();
        let made = do_add(&node, "abc", &pod).await.unwrap();
        let report = inspect_pod_link(&pod.path, "eth0").unwrap().unwrap();
        assert_eq!(report.addresses[0].addr(), made.address);
        assert_eq!(report.link.mtu, 1450);
        assert!(report.gateway_resolved);
        assert_eq!(node.datapath.endpoints().unwrap()[0].mac, report.link.mac);
        for _ in 0..2 {
            do_del(&node, "abc").await;
            assert!(!host_link("abc"));
            assert!(inspect_pod_link(&pod.path, "eth0").unwrap().is_none());
            assert!(node.datapath.endpoints().unwrap().is_empty());
        }
    });
}

#[test]
fn a_second_add_is_refused_and_leaves_the_first_alone() {
    on_a_node(|node| async move {
        let pod = namespace();
        let made = do_add(&node, "abc", &pod).await.unwrap();
        assert_eq!(do_add(&node, "abc", &pod).await, Err(101));
        let report = inspect_pod_link(&pod.path, "eth0").unwrap().unwrap();
        assert_eq!(report.addresses[0].addr(), made.address);
        assert_eq!(node.datapath.endpoints().unwrap().len(), 1);
        assert_eq!(node.leases().await, 0);
    });
}

#[test]
fn another_container_in_the_same_namespace_cannot_take_a_name_that_exists() {
    on_a_node(|node| async move {
        let pod = namespace();
        do_add(&node, "abc", &pod).await.unwrap();
        assert_eq!(do_add(&node, "other", &pod).await, Err(101));
        assert!(!host_link("other"));
        assert_eq!(node.leases().await, 0);
    });
}

#[test]
fn an_add_the_agent_refuses_leaves_no_link_no_endpoint_and_no_lease() {
    on_a_node(|node| async move {
        let pod = namespace();
        node.refuse_endpoints(true);
        assert_eq!(do_add(&node, "abc", &pod).await, Err(100));
        assert!(!host_link("abc"));
        assert!(inspect_pod_link(&pod.path, "eth0").unwrap().is_none());
        assert!(node.datapath.endpoints().unwrap().is_empty());
        assert_eq!(node.leases().await, 0);
        node.refuse_endpoints(false);
        do_add(&node, "abc", &pod).await.unwrap();
    });
}

#[test]
fn an_add_into_a_namespace_that_is_gone_leaves_nothing() {
    on_a_node(|node| async move {
        let path = namespace().path.clone();
        let gone = Attachment {
            netns: Some(path.with_file_name("no-such")),
            ..attachment("abc", None)
        };
        let failure = add::add(&node.conf("", Verb::Add), &gone)
            .await
            .unwrap_err();
        assert_eq!(failure.code(), 3);
        assert_eq!(node.leases().await, 0);
    });
}

/// Calls the plugin as a runtime does. It has a runtime of its own.
async fn called(verb: &'static str, netns: &Namespace, conf: String) -> (bool, String) {
    let netns = netns.path.clone().into_os_string();
    let call = move || {
        let lookup = |name: &str| match name {
            "CNI_COMMAND" => Some(verb.into()),
            "CNI_CONTAINERID" => Some("abc".into()),
            "CNI_IFNAME" => Some("eth0".into()),
            "CNI_NETNS" => Some(netns.clone()),
            _ => None,
        };
        let mut output = Vec::new();
        let succeeded = plugin::run(&lookup, conf.as_bytes(), &mut output);
        (succeeded, String::from_utf8(output).unwrap())
    };
    tokio::task::spawn_blocking(call).await.unwrap()
}

#[test]
fn a_runtime_reads_the_result_of_an_add_and_nothing_after_a_del() {
    on_a_node(|node| async move {
        let pod = namespace();
        let conf = node.text("");
        let (succeeded, output) = called("ADD", &pod, conf.clone()).await;
        assert!(succeeded, "{output}");
        let result: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert_eq!(result["cniVersion"], "1.1.0");
        let report = inspect_pod_link(&pod.path, "eth0").unwrap().unwrap();
        let address = format!("{}/32", report.addresses[0].addr());
        assert_eq!(result["ips"][0]["address"], address.as_str());
        let (succeeded, output) = called("ADD", &pod, conf.clone()).await;
        assert!(!succeeded);
        let error: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert_eq!(error["code"], 101, "{error}");
        assert_eq!(called("DEL", &pod, conf).await, (true, String::new()));
        assert!(!host_link("abc"));
    });
}

#[test]
fn an_add_that_cannot_make_its_link_is_code_102_and_leaves_nothing() {
    on_a_node(|node| async move {
        let path = PathBuf::from("/proc/self/ns/uts");
        let other_sort = Attachment {
            netns: Some(path),
            ..attachment("abc", None)
        };
        let failure = add::add(&node.conf("", Verb::Add), &other_sort)
            .await
            .unwrap_err();
        assert_eq!(failure.code(), 102, "{failure}");
        assert!(!host_link("abc"));
        assert_eq!(node.leases().await, 0);
    });
}
