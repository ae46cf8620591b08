//! Which nodes there are, as the agents' streams tell. Pure.

use std::collections::BTreeMap;

use cilium_hubble::proto::peer::{ChangeNotification, ChangeNotificationType};

/// A node, and where its Hubble server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// `worker-1`, or `east/worker-1` when the cluster is not called default.
    pub name: String,
    /// `10.0.0.1:4244`; empty while its agent does not know.
    pub address: String,
    /// The name its certificate must have. Without one its server speaks no TLS.
    pub server_name: Option<String>,
}

/// What is to be done about a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new, or is to be reached in another way.
    Here(Peer),
    Gone(String),
}

#[derive(Debug)]
struct Known {
    peer: Peer,
    /// The stream that named it last.
    stream: u64,
}

/// The nodes that are known, over all the streams that tell of them.
///
/// A stream begins with every node as added and does not say when it has named them all. So those of the stream before are kept
/// until [`Peers::settle`].
#[derive(Debug, Default)]
pub struct Peers {
    known: BTreeMap<String, Known>,
    stream: u64,
    named: bool,
}

impl Peers {
    /// Another stream begins.
    pub fn begin(&mut self) {
        self.stream += 1;
        self.named = false;
    }

    /// What the stream says. `None` when that was known.
    pub fn heard(&mut self, notification: ChangeNotification) -> Option<Change> {
        match notification.r#type() {
            ChangeNotificationType::PeerAdded | ChangeNotificationType::PeerUpdated => {
                self.here(peer(notification))
            }
            ChangeNotificationType::PeerDeleted => {
                self.named = true;
                let known = self.known.remove(&notification.name)?;
                Some(Change::Gone(known.peer.name))
            }
            // A kind that a later agent may have.
            ChangeNotificationType::Unknown => None,
        }
    }

    fn here(&mut self, peer: Peer) -> Option<Change> {
        self.named = true;
        let known = Known {
            peer: peer.clone(),
            stream: self.stream,
        };
        let before = self.known.insert(peer.name.clone(), known);
        let same = before.is_some_and(|before| before.peer == peer);
        (!same).then_some(Change::Here(peer))
    }

    /// The stream has named all there are: the others are gone. A stream that named nobody takes nobody away.
    pub fn settle(&mut self) -> Vec<Change> {
        if !self.named {
            return Vec::new();
        }
        let stream = self.stream;
        let gone = self.known.extract_if(.., |_, known| known.stream != stream);
        gone.map(|(name, _)| Change::Gone(name)).collect()
    }
}

fn peer(notification: ChangeNotification) -> Peer {
    let ChangeNotification {
        name, address, tls, ..
    } = notification;
    let server_name = tls.map(|tls| tls.server_name);
    Peer {
        name,
        address,
        server_name: server_name.filter(|name| !name.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn notification(kind: ChangeNotificationType, name: &str, address: &str) -> ChangeNotification {
        ChangeNotification {
            name: name.to_owned(),
            address: address.to_owned(),
            r#type: kind.into(),
            tls: None,
        }
    }

    fn added(name: &str) -> ChangeNotification {
        notification(ChangeNotificationType::PeerAdded, name, "10.0.0.1:4244")
    }

    #[test]
    fn what_a_fresh_stream_no_longer_names_is_gone_once_it_settled() {
        let mut peers = Peers::default();
        peers.begin();
        assert!(peers.heard(added("a")).is_some());
        assert!(peers.heard(added("b")).is_some());
        peers.begin();
        assert_eq!(peers.heard(added("b")), None, "it is as it was");
        assert_eq!(peers.settle(), [Change::Gone("a".to_owned())]);
        assert_eq!(peers.settle(), []);
    }

    #[test]
    fn a_stream_that_names_nobody_takes_nobody_away() {
        let mut peers = Peers::default();
        peers.begin();
        peers.heard(added("a"));
        peers.begin();
        assert_eq!(peers.settle(), []);
    }

    #[test]
    fn a_node_that_moved_is_reached_anew_and_one_that_was_deleted_is_gone_at_once() {
        let mut peers = Peers::default();
        peers.begin();
        peers.heard(added("a"));
        let moved = notification(ChangeNotificationType::PeerUpdated, "a", "10.0.0.9:4244");
        let Some(Change::Here(peer)) = peers.heard(moved) else {
            panic!("it moved");
        };
        assert_eq!(peer.address, "10.0.0.9:4244");
        let deleted = notification(ChangeNotificationType::PeerDeleted, "a", "");
        assert_eq!(
            peers.heard(deleted.clone()),
            Some(Change::Gone("a".to_owned()))
        );
        assert_eq!(peers.heard(deleted), None);
    }

    proptest! {
        /// Whoever does what is said has, after each settled stream, the nodes that it named and did not delete.
        #[test]
        fn the_changes_lead_to_what_the_last_stream_named(
            streams in proptest::collection::vec(
                proptest::collection::vec((0u8..6, 0u8..3, any::<bool>()), 1..12), 1..6),
        ) {
            let mut peers = Peers::default();
            let mut done: BTreeMap<String, String> = BTreeMap::new();
            for stream in streams {
                peers.begin();
                let mut named: BTreeMap<String, String> = BTreeMap::new();
                let mut changes = Vec::new();
                for (node, address, delete) in stream {
                    let (name, address) = (format!("n{node}"), format!("10.0.0.{address}:4244"));
                    let kind = if delete {
                        named.remove(&name);
                        ChangeNotificationType::PeerDeleted
                    } else {
                        named.insert(name.clone(), address.clone());
                        ChangeNotificationType::PeerAdded
                    };
                    changes.extend(peers.heard(notification(kind, &name, &address)));
                }
                changes.extend(peers.settle());
                let mut gone = BTreeSet::new();
                for change in changes {
                    match change {
                        Change::Here(peer) => {
                            gone.remove(&peer.name);
                            done.insert(peer.name, peer.address);
                        }
                        Change::Gone(name) => {
                            prop_assert!(gone.insert(name.clone()), "gone twice");
                            prop_assert!(done.remove(&name).is_some(), "gone without having been here");
                        }
                    }
                }
                prop_assert_eq!(&done, &named);
            }
        }
    }
}
