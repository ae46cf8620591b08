//! The service `peer.Peer`: which nodes there are, and then each change.

use std::{collections::BTreeMap, net::SocketAddr};

use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    Server,
    stream::{self as place, Answers},
};
use crate::{
    names::Node,
    proto::peer::{ChangeNotification, ChangeNotificationType, NotifyRequest, Tls, peer_server},
};

/// Tells of the cluster's nodes.
#[derive(Debug)]
pub(super) struct PeerService {
    nodes: watch::Receiver<Vec<Node>>,
    port: u16,
    tls: bool,
    streams: std::sync::Arc<tokio::sync::Semaphore>,
    closing: CancellationToken,
}

impl PeerService {
    pub(super) fn new(server: &Server, tls: bool) -> Self {
        Self {
            nodes: server.peers.clone(),
            port: server.peer_port,
            tls,
            streams: server.streams.clone(),
            closing: server.closing.clone(),
        }
    }
}

/// The peers as one client was told.
struct Told {
    nodes: watch::Receiver<Vec<Node>>,
    peers: BTreeMap<String, ChangeNotification>,
    port: u16,
    tls: bool,
}

#[tonic::async_trait]
impl peer_server::Peer for PeerService {
    type NotifyStream = Answers<ChangeNotification>;

    async fn notify(
        &self,
        _request: Request<NotifyRequest>,
    ) -> Result<Response<Self::NotifyStream>, Status> {
        let place = place::place(&self.streams)?;
        let mut nodes = self.nodes.clone();
        nodes.mark_changed();
        let told = Told {
            nodes,
            peers: BTreeMap::new(),
            port: self.port,
            tls: self.tls,
        };
        let batches = stream::unfold((told, place), |(mut told, place)| async move {
            told.nodes.changed().await.ok()?;
            let changes = told.changes();
            Some((stream::iter(changes), (told, place)))
        });
        let closing = self.closing.clone().cancelled_owned();
        Ok(Response::new(Box::pin(
            batches.flatten().map(Ok).take_until(Box::pin(closing)),
        )))
    }
}

impl Told {
    /// What changed since the client was last told.
    fn changes(&mut self) -> Vec<ChangeNotification> {
        let nodes = self.nodes.borrow_and_update().clone();
        let current: BTreeMap<_, _> = nodes
            .iter()
            .map(|node| (node.full(), peer(node, self.port, self.tls)))
            .collect();
        let changes = difference(&self.peers, &current);
        self.peers = current;
        changes
    }
}

fn difference(
    told: &BTreeMap<String, ChangeNotification>,
    current: &BTreeMap<String, ChangeNotification>,
) -> Vec<ChangeNotification> {
    let of = |kind: ChangeNotificationType, peer: &ChangeNotification| ChangeNotification {
        r#type: kind.into(),
        ..peer.clone()
    };
    let gone = told
        .iter()
        .filter(|(name, _)| !current.contains_key(*name))
        .map(|(_, peer)| of(ChangeNotificationType::PeerDeleted, peer));
    let here = current
        .iter()
        .filter_map(|(name, peer)| match told.get(name) {
            None => Some(of(ChangeNotificationType::PeerAdded, peer)),
            Some(told) if told.address != peer.address => {
                Some(of(ChangeNotificationType::PeerUpdated, peer))
            }
            Some(_) => None,
        });
    gone.chain(here).collect()
}

fn peer(node: &Node, port: u16, tls: bool) -> ChangeNotification {
    let address = node.address.map(|address| match port {
        0 => address.to_string(),
        port => SocketAddr::new(address, port).to_string(),
    });
    ChangeNotification {
        name: node.full(),
        address: address.unwrap_or_default(),
        r#type: ChangeNotificationType::Unknown.into(),
        tls: tls.then(|| Tls {
            server_name: server_name(node),
        }),
    }
}

/// The name in a node's certificate: dots of node and cluster would make it a name of another depth.
fn server_name(node: &Node) -> String {
    let flat = |name: &str| name.replace('.', "-");
    format!(
        "{}.{}.hubble-grpc.cilium.io",
        flat(&node.name),
        flat(&node.cluster)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, address: [u8; 4]) -> Node {
        Node {
            cluster: "default".to_owned(),
            name: name.to_owned(),
            address: Some(address.into()),
        }
    }

    fn peers(nodes: &[Node]) -> BTreeMap<String, ChangeNotification> {
        nodes
            .iter()
            .map(|node| (node.full(), peer(node, 4244, true)))
            .collect()
    }

    #[test]
    fn a_client_is_told_of_new_moved_and_gone_nodes_and_of_no_other() {
        let before = peers(&[
            node("a", [10, 0, 0, 1]),
            node("b", [10, 0, 0, 2]),
            node("c", [10, 0, 0, 3]),
        ]);
        let after = peers(&[
            node("a", [10, 0, 0, 1]),
            node("b", [10, 0, 0, 9]),
            node("d", [10, 0, 0, 4]),
        ]);
        let told: Vec<_> = difference(&before, &after)
            .into_iter()
            .map(|change| (change.r#type(), change.name, change.address))
            .collect();
        assert_eq!(
            told,
            [
                (
                    ChangeNotificationType::PeerDeleted,
                    "c".to_owned(),
                    "10.0.0.3:4244".to_owned()
                ),
                (
                    ChangeNotificationType::PeerUpdated,
                    "b".to_owned(),
                    "10.0.0.9:4244".to_owned()
                ),
                (
                    ChangeNotificationType::PeerAdded,
                    "d".to_owned(),
                    "10.0.0.4:4244".to_owned()
                ),
            ]
        );
    }

    #[test]
    fn the_name_in_a_certificate_has_no_dots_of_the_node() {
        let name = server_name(&Node {
            cluster: "east".to_owned(),
            name: "a.example".to_owned(),
            address: None,
        });
        assert_eq!(name, "a-example.east.hubble-grpc.cilium.io");
    }
}
