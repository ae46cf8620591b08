//! The nodes, and a connection to each. Connections are made as soon as a node is known, beside everything else: what the relay
//! says of its nodes is then what is so, and no client waits for one.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{sync::watch, task::AbortHandle};
use tonic::transport::Channel;

use crate::{
    dial::Dialer,
    link,
    peers::{Change, Peer},
};

/// Whether a node can be asked.
#[derive(Clone, Debug)]
pub enum State {
    /// The first attempt is under way.
    Connecting,
    Connected(Channel),
    /// Why not.
    Unavailable(Arc<str>),
}

/// A node as it is now.
#[derive(Clone, Debug)]
pub struct Node {
    pub peer: Arc<Peer>,
    pub state: State,
    /// Raised with every change of the state.
    pub version: u64,
}

impl Node {
    /// The connection, when there is one.
    pub fn channel(&self) -> Option<&Channel> {
        match &self.state {
            State::Connected(channel) => Some(channel),
            State::Connecting | State::Unavailable(_) => None,
        }
    }
}

/// All nodes, by name.
pub type Nodes = BTreeMap<Arc<str>, Node>;

/// Keeps the connections.
#[derive(Debug)]
pub struct Pool {
    dialer: Arc<Dialer>,
    nodes: watch::Sender<Nodes>,
    links: Mutex<HashMap<Arc<str>, AbortHandle>>,
    versions: Arc<AtomicU64>,
}

impl Pool {
    pub fn new(dialer: Arc<Dialer>) -> Self {
        Self {
            dialer,
            nodes: watch::Sender::new(Nodes::new()),
            links: Mutex::default(),
            versions: Arc::default(),
        }
    }

    /// The nodes as they are, and each change.
    pub fn nodes(&self) -> watch::Receiver<Nodes> {
        self.nodes.subscribe()
    }

    /// Does what became known of a node.
    pub fn apply(&self, change: Change) {
        match change {
            Change::Here(peer) => {
                tracing::info!(node = peer.name, address = peer.address, "a node is here");
                self.here(peer);
            }
            Change::Gone(name) => {
                tracing::info!(node = name, "a node is gone");
                self.end_link(&name);
                self.nodes.send_modify(|nodes| {
                    nodes.remove(name.as_str());
                });
            }
        }
    }

    fn here(&self, peer: Peer) {
        self.end_link(&peer.name);
        let name: Arc<str> = peer.name.as_str().into();
        let peer = Arc::new(peer);
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        let node = Node {
            peer: peer.clone(),
            state: State::Connecting,
            version,
        };
        self.nodes.send_modify(|nodes| {
            nodes.insert(name.clone(), node);
        });
        let link = {
            let (dialer, nodes) = (self.dialer.clone(), self.nodes.clone());
            let versions = self.versions.clone();
            tokio::spawn(async move {
                let tell = |state| report(&nodes, &peer, state, &versions);
                link::keep(&peer, &dialer, tell).await;
            })
        };
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.insert(name, link.abort_handle());
    }

    fn end_link(&self, name: &str) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = links.remove(name) {
            link.abort();
        }
    }
}

/// Nothing of the pool outlives it.
impl Drop for Pool {
    fn drop(&mut self) {
        let links = self.links.get_mut().unwrap_or_else(PoisonError::into_inner);
        for link in links.values() {
            link.abort();
        }
    }
}

/// A link that was ended may tell once more; its node is by then another one.
fn report(nodes: &watch::Sender<Nodes>, peer: &Arc<Peer>, state: State, versions: &AtomicU64) {
    nodes.send_if_modified(|nodes| match nodes.get_mut(peer.name.as_str()) {
        Some(node) if Arc::ptr_eq(&node.peer, peer) => {
            node.state = state;
            node.version = versions.fetch_add(1, Ordering::Relaxed);
            true
        }
        Some(_) | None => false,
    });
}
