use datapath_abi::metric::EGRESS;
use datapath_abi::reason;

use crate::frame::{see, seen, tcp};
use crate::node::{NEIGHBOUR, Node, OTHER_MAC, REDIRECTED, REMOTE, ROUTER};

#[test]
fn the_host_reaches_pods_of_other_nodes_through_the_tunnel() {
    let outcome = Node::new().run("from_host", &tcp((ROUTER, 1), (REMOTE, 80)));
    assert_eq!(outcome.verdict, REDIRECTED);
    assert_eq!(outcome.counted, [(reason::FORWARDED, EGRESS)]);
}

#[test]
fn the_host_reaches_its_own_pods_over_their_links() {
    let outcome = Node::new().run("from_host", &tcp((ROUTER, 1), (NEIGHBOUR, 80)));
    assert_eq!(outcome.verdict, REDIRECTED);
    assert_eq!(see(&outcome.frame), seen((ROUTER, 1), (NEIGHBOUR, 80), 64));
    assert_eq!(outcome.frame[..6], OTHER_MAC);
}

#[test]
fn the_host_reaches_nobody_else_that_way() {
    let mut node = Node::new();
    for destination in ["10.244.1.99", "10.244.3.1"] {
        node.run("from_host", &tcp((ROUTER, 1), (destination, 80)))
            .dropped(reason::UNKNOWN_TARGET, EGRESS);
    }
    let mut frame = tcp((ROUTER, 1), (REMOTE, 80));
    frame.ethertype = 0x86dd;
    node.run("from_host", &frame)
        .dropped(reason::UNSUPPORTED_L3, EGRESS);
}
