//! One stream, from dialling to its end.

use std::{
    collections::VecDeque,
    future::pending,
    time::{Duration, Instant, SystemTime},
};

use futures::future::BoxFuture;
use tokio::{sync::mpsc, time::interval};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::{
    Credentials, DialError, Parts, State,
    dial::{chain, dial},
};
use crate::{
    proto::{FromAgent, FromServer, from_agent, refused::Code, relay_client::RelayClient},
    server::MESSAGE_BYTES,
    session::{AgentEnd, AgentSession, AgentStep, Moment},
    tls::{Peer, client_config},
};

const CHECK: Duration = Duration::from_secs(5);

/// Why the stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("no connection")]
    Dial { source: DialError },
    #[error("the management server does not take the stream: {reason}")]
    Call { reason: String },
    #[error("the connection was lost after {} s: {reason}", lasted.as_secs())]
    Lost { reason: String, lasted: Duration },
    #[error("the stream was ended")]
    Session { source: AgentEnd },
    #[error("the certificate was renewed; the stream starts over with it")]
    Renewed,
}

impl StreamError {
    /// The server says that the certificate was revoked.
    pub(super) fn revoked(&self) -> bool {
        let Self::Session { source } = self else {
            return false;
        };
        matches!(source, AgentEnd::Refused { code, .. } if *code == Code::Revoked)
    }
}

/// What runs beside the messages.
struct Live<'a> {
    parts: &'a mut Parts,
    session: &'a mut AgentSession,
    started: Instant,
    opened: Instant,
    answers: VecDeque<FromAgent>,
    /// Changes that came and were not yet given to the cluster, and those it works at.
    fresh: usize,
    applying: usize,
    settled: Option<u64>,
}

/// Runs one stream. It always ends with an error; which one says what to do next.
pub(super) async fn run(
    parts: &mut Parts,
    session: &mut AgentSession,
    credentials: &Credentials,
    started: Instant,
) -> StreamError {
    let opened = Instant::now();
    let hello = session.open(started.elapsed());
    let (sender, receiver) = mpsc::channel(1);
    let mut messages = match connect(parts, credentials, receiver).await {
        Ok(messages) => messages,
        Err(error) => return error,
    };
    let mut live = Live {
        parts,
        session,
        started,
        opened,
        answers: VecDeque::from([hello]),
        fresh: 0,
        applying: 0,
        settled: None,
    };
    match live.run(&mut messages, &sender, credentials).await {
        Ok(()) => StreamError::Renewed,
        Err(error) => error,
    }
}

async fn connect(
    parts: &Parts,
    credentials: &Credentials,
    receiver: mpsc::Receiver<FromAgent>,
) -> Result<Streaming<FromServer>, StreamError> {
    let tls = client_config(&credentials.roots, Some(&credentials.identity))
        .map_err(|source| DialError::Tls { source })
        .map_err(|source| StreamError::Dial { source })?;
    let channel = dial(&parts.server, tls)
        .await
        .map_err(|source| StreamError::Dial { source })?;
    let answer = RelayClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES)
        .max_encoding_message_size(MESSAGE_BYTES)
        .connect(ReceiverStream::new(receiver))
        .await;
    answer
        .map(tonic::Response::into_inner)
        .map_err(|status| StreamError::Call {
            reason: chain(&status),
        })
}

impl Live<'_> {
    /// Ends well only to start over with a new certificate.
    async fn run(
        &mut self,
        messages: &mut Streaming<FromServer>,
        sender: &mpsc::Sender<FromAgent>,
        credentials: &Credentials,
    ) -> Result<(), StreamError> {
        let mut check = interval(CHECK);
        let mut renewed = Box::pin(renewal(self.parts.credentials.clone(), credentials.clone()));
        let mut observed = self.parts.observed.clone();
        let mut results = self.parts.results.clone();
        results.mark_changed();
        let mut working: Option<BoxFuture<'static, ()>> = None;
        let mut open = true;
        loop {
            if working.is_none() && self.fresh > 0 {
                self.applying = std::mem::take(&mut self.fresh);
                let local = self.parts.local.clone();
                let objects = self.session.desired().objects().clone();
                working = Some(Box::pin(async move { local.desired(objects).await }));
            }
            if working.is_none()
                && let Some(turn) = self.settled.take()
            {
                self.applying = 0;
                let local = self.parts.local.clone();
                working = Some(Box::pin(async move { local.settled(turn).await }));
            }
            if self.answers.is_empty() {
                let frame = {
                    let source = observed.borrow_and_update();
                    self.session.poll(self.started.elapsed(), source.as_ref())
                };
                self.answers.extend(frame.map_err(session)?);
            }
            tokio::select! {
                room = sender.reserve(), if open && !self.answers.is_empty() => match room {
                    Ok(room) => drop(self.answers.pop_front().map(|answer| room.send(answer))),
                    // Why it was closed is still to be read.
                    Err(_) => open = false,
                },
                message = messages.message() => {
                    let message = message.map_err(|status| self.lost(&chain(&status)))?;
                    let message = message.ok_or_else(|| self.lost("the server hung up"))?;
                    self.receive(message)?;
                }
                () = finish(&mut working) => {
                    working = None;
                    for _ in 0..self.applying {
                        self.answers.extend(self.session.applied());
                    }
                }
                Ok(()) = observed.changed(), if self.answers.is_empty() => {}
                Ok(()) = results.changed(), if self.session.live() => {
                    let results = results.borrow_and_update().clone();
                    self.answers.push_back(FromAgent {
                        message: Some(from_agent::Message::Results(results)),
                    });
                }
                () = &mut renewed => return Ok(()),
                _ = check.tick() => self.session.check(self.now()).map_err(session)?,
            }
        }
    }

    fn now(&self) -> Moment {
        self.started.elapsed()
    }

    fn receive(&mut self, message: FromServer) -> Result<(), StreamError> {
        let steps = self.session.receive(self.now(), message).map_err(session)?;
        for step in steps {
            match step {
                AgentStep::Send(answer) => self.answers.push_back(answer),
                AgentStep::Apply { .. } => self.fresh += 1,
                AgentStep::Welcomed => self.parts.local.opened(),
                AgentStep::Settled { turn } => self.settled = Some(turn),
            }
        }
        if self.session.live() {
            self.parts
                .revoked
                .send_if_modified(|revoked| revoked.take().is_some());
            self.parts
                .report(State::Connected, self.session.warmed(), None);
        }
        Ok(())
    }

    fn lost(&self, reason: &str) -> StreamError {
        StreamError::Lost {
            reason: reason.to_owned(),
            lasted: self.opened.elapsed(),
        }
    }
}

fn session(source: AgentEnd) -> StreamError {
    StreamError::Session { source }
}

async fn finish(working: &mut Option<BoxFuture<'static, ()>>) {
    match working {
        Some(working) => working.await,
        None => pending().await,
    }
}

/// Waits for new credentials, and then some part of what the old ones have left: a hundred clusters renewed at once do not come
/// back at once.
async fn renewal(
    mut credentials: tokio::sync::watch::Receiver<Option<Credentials>>,
    used: Credentials,
) {
    let changed = credentials
        .wait_for(|now| now.as_ref().is_some_and(|now| *now != used))
        .await
        .is_ok();
    if !changed {
        pending::<()>().await;
    }
    tokio::time::sleep(left(&used).mul_f64(rand::random::<f64>() / 2.0)).await;
}

fn left(credentials: &Credentials) -> Duration {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let chain = credentials.identity.chain.as_bytes();
    let leaf = CertificateDer::from_pem_slice(chain).ok();
    let end = leaf
        .and_then(|leaf| Peer::of(&leaf).ok())
        .and_then(|peer| u64::try_from(peer.not_after).ok())
        .unwrap_or(0);
    (SystemTime::UNIX_EPOCH + Duration::from_secs(end))
        .duration_since(SystemTime::now())
        .unwrap_or_default()
}
