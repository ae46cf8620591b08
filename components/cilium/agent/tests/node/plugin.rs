//! The plugin's verbs in real network namespaces, against an agent whose datapath is the one in memory. Needs root.

use std::fs::File;
use std::path::PathBuf;
use std::sync::mpsc;

use crate::node::{Node, node};
use cilium_cni::environment::{Attachment, Verb};
use cilium_cni::result::Made;
use cilium_cni::verb::{add, del, host_interface};
use datapath::Datapath as _;
use datapath::link::{Netlink, inspect_pod_link};
use nix::sched::{CloneFlags, unshare};

/// A network namespace that lives as long as this.
struct Namespace {
    path: PathBuf,
    _open: File,
    _end: mpsc::Sender<()>,
}

/// Made by a thread that stays in it, since a path to a namespace is a path to a thread.
fn namespace() -> Namespace {
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

/// Runs a test on a thread with a network namespace of its own: the node's.
fn on_a_node<F: Future<Output = ()>>(test: impl FnOnce(Node) -> F + Send + 'static) {
    let ran = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { test(node("10.244.1.0/24").await).await });
    })
    .join();
    if let Err(panic) = ran {
        std::panic::resume_unwind(panic);
    }
}

fn attachment(container: &str, netns: Option<&Namespace>) -> Attachment {
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

fn host_link(container: &str) -> bool {
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
