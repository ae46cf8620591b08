//! ADD beside an agent that is not there, cannot answer yet, or hangs: it ends in time, says why, and no packet passes meanwhile.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{self, Next};
use axum::response::Response;
use cilium_cni::environment::Verb;
use cilium_cni::error::{Failure, chain};
use cilium_cni::verb::{add, host_interface};
use datapath::Datapath as _;
use datapath::link::{Link, Netlink, inspect_pod_link};
use tokio::net::UnixListener;
use tokio::time::{Instant, timeout};

use crate::node::{Node, hurry, node, unlisted};
use crate::plugin::{Namespace, apart, attachment, host_link, namespace};

const CIDR: &str = "10.244.1.0/24";

/// Why an ADD failed, and after which time.
async fn refused(node: &Node, netns: &Namespace) -> (Failure, Duration) {
    let conf = node.conf("", Verb::Add);
    let began = Instant::now();
    let failure = add::add(&conf, &attachment("abc", Some(netns)))
        .await
        .unwrap_err();
    (failure, began.elapsed())
}

fn link() -> Option<Link> {
    let name = host_interface("abc", "eth0");
    Netlink::new().unwrap().link(&name).unwrap()
}

fn nothing_is_left(node: &Node, netns: &Namespace) {
    assert!(!host_link("abc"));
    assert!(inspect_pod_link(&netns.path, "eth0").unwrap().is_none());
    assert!(node.datapath.endpoints().unwrap().is_empty());
}

fn seconds(from: u64, to: u64) -> std::ops::Range<Duration> {
    Duration::from_secs(from)..Duration::from_secs(to)
}

#[test]
fn an_add_without_an_agent_waits_half_a_minute_for_one_and_makes_nothing() {
    apart(|| async {
        let node = node(CIDR).await;
        std::fs::remove_file(&node.socket).unwrap();
        let pod = namespace();
        hurry();
        let (failure, took) = refused(&node, &pod).await;
        assert_eq!(failure.code(), 11);
        assert!(chain(&failure).contains("cilium.sock"), "{failure}");
        assert!(seconds(30, 32).contains(&took), "{took:?}");
        nothing_is_left(&node, &pod);
    });
}

#[test]
fn an_agent_that_comes_back_while_an_add_waits_serves_it() {
    apart(|| async {
        let node = node(CIDR).await;
        let aside = node.socket.with_extension("aside");
        std::fs::rename(&node.socket, &aside).unwrap();
        let pod = namespace();
        hurry();
        let (back, socket) = (Duration::from_secs(20), node.socket.clone());
        tokio::spawn(async move {
            tokio::time::sleep(back).await;
            std::fs::rename(&aside, &socket).unwrap();
        });
        let (conf, began) = (node.conf("", Verb::Add), Instant::now());
        let made = add::add(&conf, &attachment("abc", Some(&pod))).await;
        assert!(began.elapsed() >= back);
        let report = inspect_pod_link(&pod.path, "eth0").unwrap().unwrap();
        assert_eq!(report.addresses[0].addr(), made.unwrap().address);
    });
}

#[test]
fn a_pod_that_would_start_before_the_policies_are_listed_stays_cut_off_and_hears_what_is_missing() {
    apart(|| async {
        let node = unlisted(CIDR, |router| router).await;
        let pod = namespace();
        hurry();
        let mut add = std::pin::pin!(refused(&node, &pod));
        // In the middle of its wait.
        assert!(timeout(Duration::from_secs(10), &mut add).await.is_err());
        let waiting = link().unwrap();
        assert!(!waiting.up, "{waiting:?}");
        assert!(node.datapath.endpoints().unwrap().is_empty());
        let (failure, _) = add.await;
        assert_eq!(failure.code(), 11);
        let said = chain(&failure);
        assert!(
            said.contains("waiting for the API server to list pods, "),
            "{said}"
        );
        assert!(said.contains("networkpolicies"), "{said}");
        nothing_is_left(&node, &pod);
        assert_eq!(node.leases().await, 0);
        node.list();
        add::add(&node.conf("", Verb::Add), &attachment("abc", Some(&pod)))
            .await
            .unwrap();
    });
}

/// An endpoint is never made; everything else works.
fn hangs(router: Router) -> Router {
    router.layer(middleware::from_fn(|request: Request, next: Next| async {
        if request.method() == Method::PUT {
            std::future::pending::<Response>().await
        } else {
            next.run(request).await
        }
    }))
}

#[test]
fn an_add_whose_endpoint_is_not_made_in_a_minute_takes_everything_back() {
    apart(|| async {
        let node = unlisted(CIDR, hangs).await;
        node.list();
        let pod = namespace();
        hurry();
        let (failure, took) = refused(&node, &pod).await;
        assert_eq!(failure.code(), 11);
        assert!(seconds(60, 62).contains(&took), "{took:?}");
        nothing_is_left(&node, &pod);
        assert_eq!(node.leases().await, 0);
    });
}

#[test]
fn an_add_to_an_agent_that_takes_connections_and_says_nothing_ends_after_ten_seconds() {
    apart(|| async {
        let node = node(CIDR).await;
        std::fs::remove_file(&node.socket).unwrap();
        let _deaf = UnixListener::bind(&node.socket).unwrap();
        let pod = namespace();
        hurry();
        let (failure, took) = refused(&node, &pod).await;
        assert_eq!(failure.code(), 11);
        assert!(seconds(10, 12).contains(&took), "{took:?}");
        nothing_is_left(&node, &pod);
    });
}
