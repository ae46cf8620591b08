//! What strangers, and agents, may take of the server.

use std::time::Duration;

/// Everything that bounds memory and time per connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once, handshakes among them.
    pub connections: usize,
    /// Of these, without a client certificate once the handshake is done. Few: whoever reaches the port may have one.
    pub strangers: usize,
    /// Handshakes, and strangers, of one address at once. More are closed unread, so that one address cannot take all places.
    pub strangers_per_address: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// How long a connection without a client certificate may live. Enrolment takes a moment.
    pub anonymous: Duration,
    pub streams_per_connection: u32,
    pub keepalive: Duration,
    /// Attempts to enrol from one address: so many at once, then one each `enrolments_every`.
    pub enrolments: u32,
    pub enrolments_every: Duration,
    /// How long the end may take.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 2048,
            strangers: 256,
            strangers_per_address: 32,
            handshake: Duration::from_secs(5),
            anonymous: Duration::from_secs(30),
            streams_per_connection: 8,
            keepalive: Duration::from_secs(20),
            enrolments: 10,
            enrolments_every: Duration::from_secs(6),
            grace: Duration::from_secs(5),
        }
    }
}
