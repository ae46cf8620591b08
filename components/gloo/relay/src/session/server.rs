//! The server's end of a stream.

use std::collections::VecDeque;

use super::{ACKNOWLEDGED, GREETING, Moment, PROTOCOL, RESYNCS, common_version};
use crate::{
    digest::Digest,
    proto::{
        Ack, FromAgent, FromServer, Hello, Refused, Results, Resync, Settled, Welcome, from_agent,
        from_server, refused::Code,
    },
    table::{Changes, FrameError, Incoming, Outgoing, Refusal, Source, Taken},
};

/// What is to be done, in order.
#[derive(Debug)]
pub enum ServerStep {
    Send(FromServer),
    /// The agent says who it is. Answer with [`ServerSession::admit`], or end the stream.
    Hello(Hello),
    /// The cluster's objects changed so; take that, then call [`ServerSession::taken`].
    Observed {
        changes: Changes,
        full: bool,
    },
    /// The agent acts on desired objects up to these.
    Acked(Ack),
    Results(Results),
}

/// Why a stream ends.
#[derive(Debug, thiserror::Error)]
pub enum ServerEnd {
    #[error("the agent speaks protocol version {version}; this server speaks {OLDEST} to {PROTOCOL}", OLDEST = super::OLDEST)]
    Version { version: u32 },
    #[error("the agent sent {what} where it makes no sense")]
    Unexpected { what: &'static str },
    #[error("the agent's snapshot cannot be followed")]
    Snapshot { source: Refusal },
    #[error("the agent asked for the desired objects more often than a stream may need them")]
    Resyncs,
    #[error("the agent did not send {what} in time")]
    Silent { what: &'static str },
    #[error("a frame of desired objects cannot be made")]
    Frame { source: FrameError },
    /// Somebody above decided so.
    #[error("{}", .0.reason)]
    Refused(Refused),
}

impl ServerEnd {
    /// The last message of the stream.
    pub fn message(&self) -> FromServer {
        message(from_server::Message::Refused(self.refused()))
    }

    /// What the agent is told.
    pub(crate) fn refused(&self) -> Refused {
        let code = match self {
            Self::Refused(refused) => return refused.clone(),
            Self::Version { .. } => Code::Version,
            Self::Snapshot {
                source: Refusal::Full { .. },
            } => Code::Full,
            _ => Code::Protocol,
        };
        let cause = std::error::Error::source(self).map(|cause| format!(": {cause}"));
        Refused {
            code: code.into(),
            reason: format!("{self}{}", cause.unwrap_or_default()),
        }
    }
}

#[derive(Debug)]
enum Phase {
    Expecting { since: Moment },
    Deciding { held: Option<Digest> },
    Live { held: Option<Digest> },
}

/// One stream.
#[derive(Debug)]
pub struct ServerSession {
    phase: Phase,
    snapshot: Incoming,
    desired: Option<Outgoing>,
    epoch: u64,
    resyncs: u32,
    untaken: VecDeque<Ack>,
    warmed: bool,
    heard: Moment,
}

impl ServerSession {
    pub fn new(now: Moment) -> Self {
        Self {
            phase: Phase::Expecting { since: now },
            snapshot: Incoming::default(),
            desired: None,
            epoch: 0,
            resyncs: 0,
            untaken: VecDeque::new(),
            warmed: false,
            heard: now,
        }
    }

    /// Whether the whole snapshot arrived, or was confirmed, on this stream.
    pub fn warmed(&self) -> bool {
        self.warmed
    }

    /// The cluster's objects as far as they are known.
    pub fn snapshot(&self) -> &Incoming {
        &self.snapshot
    }

    /// Serves the agent. `held` is what is known of the cluster from before.
    pub fn admit(&mut self, held: Incoming, version: &str, instance: &str) -> FromServer {
        self.snapshot = held;
        self.snapshot.reopen();
        if let Phase::Deciding { held } = self.phase {
            self.phase = Phase::Live { held };
        }
        let digest = self.snapshot.digest().map(Digest::to_bytes);
        message(from_server::Message::Welcome(Welcome {
            protocol_version: PROTOCOL,
            server_version: version.to_owned(),
            instance: instance.to_owned(),
            snapshot_digest: digest.unwrap_or_default(),
        }))
    }

    pub fn receive(
        &mut self,
        now: Moment,
        received: FromAgent,
    ) -> Result<Vec<ServerStep>, ServerEnd> {
        use from_agent::Message;
        let Some(received) = received.message else {
            return Ok(Vec::new());
        };
        self.heard = now;
        match (received, &self.phase) {
            (Message::Hello(hello), Phase::Expecting { .. }) => self.hello(hello),
            (Message::Hello(_), _) => Err(ServerEnd::Unexpected { what: "a greeting" }),
            (_, Phase::Expecting { .. } | Phase::Deciding { .. }) => Err(ServerEnd::Unexpected {
                what: "something before it was greeted",
            }),
            (Message::Snapshot(frame), _) => self.frame(&frame),
            (Message::DesiredAck(ack), _) => Ok(self.acked(ack)),
            (Message::Results(results), _) => Ok(settle(results)),
            (Message::Resync(resync), _) => self.restart(&resync),
        }
    }

    fn hello(&mut self, hello: Hello) -> Result<Vec<ServerStep>, ServerEnd> {
        let version = hello.protocol_version;
        common_version(version).ok_or(ServerEnd::Version { version })?;
        let held = Digest::from_bytes(&hello.desired_digest).ok();
        self.phase = Phase::Deciding { held };
        Ok(vec![ServerStep::Hello(hello)])
    }

    fn frame(&mut self, frame: &crate::proto::Frame) -> Result<Vec<ServerStep>, ServerEnd> {
        let (changes, full) = match self.snapshot.take(frame) {
            Ok(Taken::Old) => return Ok(Vec::new()),
            Ok(Taken::Part) => {
                let ack = from_server::Message::SnapshotAck(self.snapshot.ack());
                return Ok(vec![ServerStep::Send(message(ack))]);
            }
            Ok(Taken::Full(changes)) => (changes, true),
            Ok(Taken::Delta(changes)) => (changes, false),
            Err(source) => return self.refuse(source),
        };
        self.warmed = true;
        self.untaken.push_back(self.snapshot.ack());
        Ok(vec![ServerStep::Observed { changes, full }])
    }

    fn refuse(&mut self, source: Refusal) -> Result<Vec<ServerStep>, ServerEnd> {
        self.resyncs += 1;
        if !source.curable() || self.resyncs > RESYNCS {
            return Err(ServerEnd::Snapshot { source });
        }
        let reason = source.to_string();
        let epoch = self.snapshot.await_resync();
        let resync = from_server::Message::Resync(Resync { epoch, reason });
        Ok(vec![ServerStep::Send(message(resync))])
    }

    fn acked(&mut self, ack: Ack) -> Vec<ServerStep> {
        let known = self.desired.as_mut().is_some_and(|sent| sent.acked(&ack));
        known
            .then_some(ServerStep::Acked(ack))
            .into_iter()
            .collect()
    }

    fn restart(&mut self, resync: &Resync) -> Result<Vec<ServerStep>, ServerEnd> {
        self.resyncs += 1;
        if self.resyncs > RESYNCS {
            return Err(ServerEnd::Resyncs);
        }
        if let Some(desired) = &mut self.desired {
            desired.resync(resync.epoch.saturating_add(1));
        }
        Ok(Vec::new())
    }

    /// The changes of the oldest [`ServerStep::Observed`] not yet reported were taken.
    pub fn taken(&mut self) -> Option<FromServer> {
        let ack = self.untaken.pop_front()?;
        Some(message(from_server::Message::SnapshotAck(ack)))
    }

    /// The next frame of what is desired. `None` for the source: that is not known, and nothing is said.
    pub fn poll(
        &mut self,
        now: Moment,
        desired: Option<&Source>,
    ) -> Result<Option<FromServer>, ServerEnd> {
        let (Phase::Live { held }, Some(source)) = (&self.phase, desired) else {
            return Ok(None);
        };
        let sent = self.desired.get_or_insert_with(|| {
            self.epoch += 1;
            if *held == Some(source.digest()) {
                Outgoing::resumed(self.epoch, source)
            } else {
                Outgoing::new(self.epoch)
            }
        });
        if !sent.waits() {
            self.heard = now;
        }
        let frame = sent
            .next(source)
            .map_err(|source| ServerEnd::Frame { source })?;
        Ok(frame.map(|frame| message(from_server::Message::Desired(frame))))
    }

    /// Ends a stream whose other side says nothing any more.
    pub fn check(&self, now: Moment) -> Result<(), ServerEnd> {
        let waits = self.desired.as_ref().is_some_and(Outgoing::waits);
        match self.phase {
            Phase::Expecting { since } if now.saturating_sub(since) > GREETING => {
                Err(ServerEnd::Silent { what: "a greeting" })
            }
            Phase::Live { .. } if waits && now.saturating_sub(self.heard) > ACKNOWLEDGED => {
                Err(ServerEnd::Silent {
                    what: "acknowledgements",
                })
            }
            _ => Ok(()),
        }
    }
}

fn settle(results: Results) -> Vec<ServerStep> {
    let turn = results.turn;
    let settled = message(from_server::Message::Settled(Settled { turn }));
    vec![ServerStep::Results(results), ServerStep::Send(settled)]
}

fn message(message: from_server::Message) -> FromServer {
    FromServer {
        message: Some(message),
    }
}
