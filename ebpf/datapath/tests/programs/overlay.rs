//! What needs no tunnel metadata; the checks of who sent a tunnel packet are in `network`, with real tunnels.

use datapath_abi::metric::INGRESS;
use datapath_abi::reason;

use crate::frame::tcp;
use crate::node::{Node, POD, REMOTE};

#[test]
fn a_packet_without_tunnel_metadata_is_not_from_a_tunnel() {
    let frame = tcp((REMOTE, 1), (POD, 2));
    Node::new()
        .run("from_overlay", &frame)
        .dropped(reason::NO_TUNNEL_KEY, INGRESS);
}
