//! Keeps one connection to one node.

use std::time::{Duration, Instant};

use gloonet_daemon::error::chain;

use crate::{
    dial::{Dialer, Target, pauses},
    grace::Grace,
    peers::Peer,
    pool::State,
};

/// A connection that lived this long was a good one: the next attempt after it is an early one.
const STEADY: Duration = Duration::from_secs(30);

/// Connects, and connects again whenever the connection is lost; tells each change. Ends with its task.
pub(crate) async fn keep(peer: &Peer, dialer: &Dialer, tell: impl Fn(State)) {
    let target = Target {
        address: peer.address.clone(),
        server_name: peer.server_name.clone(),
    };
    let mut pause = pauses();
    let mut grace = Grace::begin();
    loop {
        match dialer.dial(&target).await {
            Ok(connection) => {
                let since = Instant::now();
                tracing::info!(node = peer.name, address = peer.address, "connected");
                tell(State::Connected(connection.channel));
                connection.lost.cancelled().await;
                tracing::info!(
                    node = peer.name,
                    address = peer.address,
                    "the connection is lost"
                );
                tell(State::Unavailable("its connection was lost".into()));
                grace = Grace::begin();
                if since.elapsed() > STEADY {
                    pause = pauses();
                }
            }
            Err(error) => {
                let error = chain(&error);
                if grace.is_over(&error) {
                    tracing::warn!(node = peer.name, error, "a node cannot be asked for flows");
                }
                tell(State::Unavailable(error.into()));
            }
        }
        tokio::time::sleep(pause.next().unwrap_or(STEADY)).await;
    }
}
