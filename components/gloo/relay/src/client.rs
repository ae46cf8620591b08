//! The agent's end: enrols, connects, keeps connected, and never gives up.

mod dial;
mod enrol;
mod stream;

pub use dial::{DialError, Server};
pub use enrol::{EnrolCallError, KeyRequest, enrol, renew, telemetry};

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    proto::{Results, refused::Code},
    session::{AgentEnd, AgentFacts, AgentSession, Backoff},
    table::{Incoming, Limits, Objects, Source},
    tls::Identity,
};
use stream::StreamError;

/// What the agent shows, and what it verifies the server with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The authorities of the server, in PEM.
    pub roots: String,
    pub identity: Identity,
}

/// How it is with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// There is no certificate yet.
    Enrolling,
    Connecting,
    Connected,
    /// The last attempt failed; the next one follows.
    Waiting,
    /// The server does not serve this agent, and says why.
    Refused,
    /// Another agent of the cluster is served. Nothing is written here.
    Fenced,
}

impl State {
    pub const ALL: [Self; 6] = [
        Self::Enrolling,
        Self::Connecting,
        Self::Connected,
        Self::Waiting,
        Self::Refused,
        Self::Fenced,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enrolling => "enrolling",
            Self::Connecting => "connecting",
            Self::Connected => "connected",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Fenced => "fenced",
        }
    }
}

/// What is reported of the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub state: State,
    /// The server holds all that was observed.
    pub warmed: bool,
    /// Since when it is in this state.
    pub since: SystemTime,
    pub last_error: Option<String>,
}

impl Status {
    pub fn new() -> Self {
        Self {
            state: State::Enrolling,
            warmed: false,
            since: SystemTime::UNIX_EPOCH,
            last_error: None,
        }
    }
}

impl Default for Status {
    fn default() -> Self {
        Self::new()
    }
}

/// The cluster, as the relay sees it.
#[tonic::async_trait]
pub trait Local: Send + Sync + 'static {
    /// The cluster is to have exactly these objects. Returns once that took effect as far as it can; called again with the
    /// newest state if it changed meanwhile. Dropped when the stream ends: who is fenced writes nothing more.
    async fn desired(&self, objects: Objects);
    /// A stream was opened. What is desired from now on is not known before the next call of `desired`, and decisions from before
    /// are void.
    fn opened(&self);
    /// The server answered results of this turn: removals decided up to it may happen. Dropped as `desired` is.
    async fn settled(&self, turn: u64);
}

/// What the client works with.
pub struct Parts {
    pub server: Server,
    pub facts: AgentFacts,
    /// `None` until the cluster is enrolled. A change leads to a new stream, some time later.
    pub credentials: watch::Receiver<Option<Credentials>>,
    /// `None` until the first observation is complete.
    pub observed: watch::Receiver<Option<Source>>,
    pub results: watch::Receiver<Results>,
    pub status: watch::Sender<Status>,
    /// Credentials the server says are revoked. Whoever keeps them gets others; until then these are tried again and again,
    /// for what a server says it may take back.
    pub revoked: watch::Sender<Option<Credentials>>,
    pub local: Arc<dyn Local>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Parts")
            .field("server", &self.server)
            .field("facts", &self.facts)
            .finish_non_exhaustive()
    }
}

impl Parts {
    fn report(&self, state: State, warmed: bool, error: Option<String>) {
        self.status.send_if_modified(|status| {
            let last_error = match state {
                State::Connected => None,
                _ => error.or_else(|| status.last_error.clone()),
            };
            let since = if status.state == state {
                status.since
            } else {
                SystemTime::now()
            };
            let now = Status {
                state,
                warmed,
                since,
                last_error,
            };
            let changed = *status != now;
            *status = now;
            changed
        });
    }
}

/// Keeps the cluster connected until `closing`.
pub async fn run(mut parts: Parts, closing: CancellationToken) {
    let started = Instant::now();
    let mut session = AgentSession::new(parts.facts.clone(), Incoming::new(Limits::default()));
    let mut backoff = Backoff::default();
    while !closing.is_cancelled() {
        let Some(credentials) = credentials(&mut parts, &closing).await else {
            return;
        };
        parts.report(State::Connecting, false, None);
        let opened = Instant::now();
        let attempt = stream::run(&mut parts, &mut session, &credentials, started);
        let end = closing.run_until_cancelled(attempt).await;
        session.close();
        let Some(end) = end else { return };
        if end.revoked() {
            parts.revoked.send_replace(Some(credentials));
        }
        let (state, pause) = judge(&end, opened.elapsed(), &mut backoff);
        let cause = std::error::Error::source(&end).map(|cause| format!(": {cause}"));
        let text = format!("{end}{}", cause.unwrap_or_default());
        tracing::info!(reason = text, pause = ?pause, "the relay stream ended");
        parts.report(state, false, Some(text));
        // New credentials may be the cure.
        tokio::select! {
            () = closing.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
            Ok(()) = parts.credentials.changed() => {}
        }
    }
}

async fn credentials(parts: &mut Parts, closing: &CancellationToken) -> Option<Credentials> {
    if let Some(known) = parts.credentials.borrow_and_update().clone() {
        return Some(known);
    }
    parts.report(State::Enrolling, false, None);
    let known = parts.credentials.wait_for(Option::is_some);
    closing.run_until_cancelled(known).await?.ok()?.clone()
}

/// What an end means, and how long to wait after it.
fn judge(end: &StreamError, lasted: Duration, backoff: &mut Backoff) -> (State, Duration) {
    let random = rand::random::<f64>();
    match end {
        StreamError::Renewed => {
            backoff.reset();
            (State::Connecting, Duration::ZERO)
        }
        StreamError::Session { source } => after(Some(source), lasted, backoff, random),
        _ => after(None, lasted, backoff, random),
    }
}

/// What it means that a session ended, or, with `None`, that its connection broke or never was; and how long to wait after it.
/// `random` is uniform in 0..1.
pub fn after(
    end: Option<&AgentEnd>,
    lasted: Duration,
    backoff: &mut Backoff,
    random: f64,
) -> (State, Duration) {
    backoff.held(lasted);
    let Some(AgentEnd::Refused { code, .. }) = end else {
        return (State::Waiting, backoff.pause(random));
    };
    match code {
        Code::Fenced => (State::Fenced, Backoff::fenced(random)),
        Code::Closing | Code::Busy => (State::Waiting, backoff.pause(random)),
        // What is desired stays as it is and is kept up; each attempt costs the server a snapshot.
        Code::Full => (State::Waiting, Backoff::fenced(random)),
        _ => (State::Refused, backoff.pause(random)),
    }
}

/// A bare connection, to send what no agent would.
#[cfg(test)]
pub(crate) async fn dial_for_tests(
    server: &Server,
    tls: Arc<rustls::ClientConfig>,
) -> tonic::transport::Channel {
    dial::dial(server, tls).await.unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: Code) -> StreamError {
        let reason = "another replica has fewer clusters".to_owned();
        StreamError::Session {
            source: AgentEnd::Refused { code, reason },
        }
    }

    #[test]
    fn an_agent_that_is_sent_elsewhere_once_an_hour_comes_back_at_once_every_time() {
        let mut backoff = Backoff::default();
        for _ in 0..10 {
            let (state, pause) = judge(
                &refused(Code::Closing),
                Duration::from_hours(1),
                &mut backoff,
            );
            assert_eq!(state, State::Waiting);
            assert!(pause <= Duration::from_secs(1), "{pause:?}");
        }
    }

    #[test]
    fn an_agent_without_room_waits_long_and_goes_on_keeping_up_what_was_desired() {
        let end = refused(Code::Full);
        let (state, pause) = judge(&end, Duration::ZERO, &mut Backoff::default());
        assert_eq!(state, State::Waiting, "who is refused repairs nothing");
        assert!(pause >= Duration::from_mins(1), "{pause:?}");
    }

    #[test]
    fn an_agent_that_is_sent_elsewhere_again_and_again_comes_back_ever_later() {
        let mut backoff = Backoff::default();
        let pauses = [(); 4].map(|()| judge(&refused(Code::Busy), Duration::ZERO, &mut backoff).1);
        assert!(pauses.is_sorted(), "{pauses:?}");
        assert!(pauses[3] >= Duration::from_secs(4), "{pauses:?}");
    }
}
