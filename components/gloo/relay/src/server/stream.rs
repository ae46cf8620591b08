//! One agent's stream, from its greeting to its end.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{
    sync::{mpsc, watch},
    time::{interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::{Admission, Hub, Stream, fences::Fences};
use crate::{
    proto::{FromAgent, FromServer, Hello, Refused, refused::Code},
    session::{Claim, GREETING, ServerEnd, ServerSession, ServerStep},
    table::Source,
    tls::Peer,
};

/// Answers that may wait for the agent to read; then nothing more of it is read.
const ANSWERS: usize = 16;
/// Bytes of an agent's instance, which is kept as long as it is served, and told to others. A pod's UID has 36.
const INSTANCE: usize = 256;
const CHECK: Duration = Duration::from_secs(5);

type Sender = mpsc::Sender<Result<FromServer, Status>>;

/// What a stream is served with.
pub(super) struct Served {
    pub(super) hub: Arc<dyn Hub>,
    pub(super) fences: Arc<Fences>,
    pub(super) version: Arc<str>,
    pub(super) instance: Arc<str>,
    pub(super) closing: CancellationToken,
    pub(super) peer: Peer,
}

/// A stream that was admitted.
struct Live<'a> {
    hub: &'a dyn Hub,
    stream: &'a Stream,
    session: ServerSession,
    started: Instant,
    answers: VecDeque<FromServer>,
}

impl Served {
    pub(super) async fn run(self, mut messages: Streaming<FromAgent>, sender: Sender) {
        let Err(end) = self.serve(&mut messages, &sender).await else {
            return;
        };
        tracing::info!(cluster = %self.peer.cluster, reason = %end, "a relay stream ends");
        self.hub.refused(&self.peer.cluster, end.refused().code());
        // To an agent that does not read there is nothing to say.
        let _ = tokio::time::timeout(GREETING, sender.send(Ok(end.message()))).await;
    }

    /// `Ok`: the agent hung up.
    async fn serve(
        &self,
        messages: &mut Streaming<FromAgent>,
        sender: &Sender,
    ) -> Result<(), ServerEnd> {
        let started = Instant::now();
        let mut session = ServerSession::new(Duration::ZERO);
        let Some(hello) = greeting(&mut session, messages).await? else {
            return Ok(());
        };
        let stream = self.stream(&hello)?;
        let place = self
            .fences
            .enter(stream)
            .await
            .map_err(ServerEnd::Refused)?;
        let admission = self.hub.admit(&place.stream, &self.peer, &hello).await;
        let admission = admission.map_err(ServerEnd::Refused)?;
        tracing::info!(
            cluster = %self.peer.cluster,
            agent = hello.agent_version,
            instance = hello.instance,
            "an agent is connected"
        );
        let Admission { held, desired, end } = admission;
        let welcome = session.admit(held, &self.version, &self.instance);
        let mut live = Live {
            hub: &*self.hub,
            stream: &place.stream,
            session,
            started,
            answers: VecDeque::from([welcome]),
        };
        let ends = ended(
            &self.closing,
            place.fenced.clone(),
            end,
            self.peer.not_after,
        );
        let result = tokio::select! {
            refused = ends => Err(ServerEnd::Refused(refused)),
            refused = lost(&*self.hub, &place.stream) => Err(ServerEnd::Refused(refused)),
            result = live.run(messages, sender, desired) => result,
        };
        let why = result.as_ref().err().map(ToString::to_string);
        let why = why.unwrap_or_else(|| "the agent hung up".to_owned());
        self.hub.closed(&place.stream, why).await;
        result
    }

    /// The stream as the agent claims it, which its fences will number.
    fn stream(&self, hello: &Hello) -> Result<Stream, ServerEnd> {
        let refused = |code: Code, reason: String| {
            let code = code.into();
            Err(ServerEnd::Refused(Refused { code, reason }))
        };
        let (uid, instance) = (&hello.cluster_uid, &hello.instance);
        if *uid != self.peer.cluster_uid {
            let known = &self.peer.cluster_uid;
            let reason =
                format!("the certificate is for cluster UID {known}, the agent runs in {uid}");
            return refused(Code::ClusterUid, reason);
        }
        if instance.len() > INSTANCE {
            let length = instance.len();
            let reason = format!("the agent's instance has {length} bytes; {INSTANCE} are allowed");
            return refused(Code::Protocol, reason);
        }
        Ok(Stream {
            id: 0,
            cluster: self.peer.cluster.clone(),
            claim: Claim {
                instance: instance.clone(),
                started_ms: hello.started_ms,
            },
        })
    }
}

async fn greeting(
    session: &mut ServerSession,
    messages: &mut Streaming<FromAgent>,
) -> Result<Option<Hello>, ServerEnd> {
    let first = tokio::time::timeout(GREETING, messages.message()).await;
    let Ok(message) = first else {
        return Err(ServerEnd::Silent { what: "a greeting" });
    };
    let Ok(Some(message)) = message else {
        return Ok(None);
    };
    let steps = session.receive(Duration::ZERO, message)?;
    Ok(steps.into_iter().find_map(|step| match step {
        ServerStep::Hello(hello) => Some(hello),
        _ => None,
    }))
}

impl Live<'_> {
    async fn run(
        &mut self,
        messages: &mut Streaming<FromAgent>,
        sender: &Sender,
        mut desired: watch::Receiver<Option<Source>>,
    ) -> Result<(), ServerEnd> {
        let mut check = interval(CHECK);
        let mut watching = true;
        loop {
            if self.answers.is_empty() {
                let frame = {
                    let source = desired.borrow_and_update();
                    self.session.poll(self.started.elapsed(), source.as_ref())?
                };
                self.answers.extend(frame);
            }
            tokio::select! {
                room = sender.reserve(), if !self.answers.is_empty() => {
                    let Ok(room) = room else { return Ok(()) };
                    if let Some(answer) = self.answers.pop_front() {
                        room.send(Ok(answer));
                    }
                }
                message = messages.message(), if self.answers.len() < ANSWERS => {
                    // An error here is the connection's: the agent knows, or is gone.
                    let Ok(Some(message)) = message else { return Ok(()) };
                    self.receive(message).await?;
                }
                changed = desired.changed(), if watching && self.answers.is_empty() => {
                    watching = changed.is_ok();
                }
                _ = check.tick() => self.session.check(self.started.elapsed())?,
            }
        }
    }

    async fn receive(&mut self, message: FromAgent) -> Result<(), ServerEnd> {
        for step in self.session.receive(self.started.elapsed(), message)? {
            match step {
                ServerStep::Send(answer) => self.answers.push_back(answer),
                ServerStep::Observed { changes, full } => {
                    self.hub.observed(self.stream, changes, full).await;
                    self.answers.extend(self.session.taken());
                }
                ServerStep::Acked(ack) => self.hub.acked(self.stream, ack).await,
                ServerStep::Results(results) => self.hub.results(self.stream, results).await,
                ServerStep::Hello(_) => {}
            }
        }
        Ok(())
    }
}

/// Waits for any reason from outside to end the stream.
async fn ended(
    closing: &CancellationToken,
    fenced: watch::Receiver<Option<Refused>>,
    end: watch::Receiver<Option<Refused>>,
    not_after: i64,
) -> Refused {
    let closed = |reason: &str| Refused {
        code: Code::Closing.into(),
        reason: reason.to_owned(),
    };
    tokio::select! {
        () = closing.cancelled() => closed("the server ends"),
        () = sleep(until(not_after)) => closed("the certificate has expired"),
        refused = told(fenced) => refused,
        refused = told(end) => refused,
    }
}

/// Waits until the stream is no longer its cluster's.
async fn lost(hub: &dyn Hub, stream: &Stream) -> Refused {
    loop {
        sleep(CHECK).await;
        if let Err(refused) = hub.holds(stream).await {
            return refused;
        }
    }
}

/// Nobody left to tell anything: waits for ever.
async fn told(mut receiver: watch::Receiver<Option<Refused>>) -> Refused {
    let refused = match receiver.wait_for(Option::is_some).await {
        Ok(refused) => refused.clone(),
        Err(_) => None,
    };
    match refused {
        Some(refused) => refused,
        None => std::future::pending().await,
    }
}

fn until(seconds: i64) -> Duration {
    let end = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    (SystemTime::UNIX_EPOCH + end)
        .duration_since(SystemTime::now())
        .unwrap_or_default()
}
