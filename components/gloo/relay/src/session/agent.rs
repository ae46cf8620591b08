//! The agent's end of a stream.

use std::collections::VecDeque;

use super::{ACKNOWLEDGED, GREETING, Moment, PROTOCOL, RESYNCS, common_version};
use crate::{
    digest::Digest,
    proto::{
        Ack, FromAgent, FromServer, Hello, Resync, Welcome, from_agent, from_server, refused::Code,
    },
    table::{Changes, FrameError, Incoming, Outgoing, Refusal, Source, Taken},
};

/// What an agent tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFacts {
    pub version: String,
    pub cluster_uid: String,
    pub instance: String,
    pub started_ms: i64,
    pub capabilities: Vec<String>,
}

/// What is to be done, in order.
#[derive(Debug)]
pub enum AgentStep {
    Send(FromAgent),
    /// The server greeted; the cluster is served.
    Welcomed,
    /// The agent was still the cluster's when the server had its results of this turn.
    Settled {
        turn: u64,
    },
    /// Make these changes to the objects desired, then call [`AgentSession::applied`].
    Apply {
        changes: Changes,
        full: bool,
    },
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub enum AgentEnd {
    #[error("the server refused the stream ({code:?}): {reason}")]
    Refused { code: Code, reason: String },
    #[error("the server speaks protocol version {version}; this agent speaks {PROTOCOL}")]
    Version { version: u32 },
    #[error("the server sent {what} where it makes no sense")]
    Unexpected { what: &'static str },
    #[error("the server's desired objects cannot be followed")]
    Desired { source: Refusal },
    #[error("the server asked for a fresh snapshot more often than a stream may need one")]
    Resyncs,
    #[error("the server did not answer {what} in time")]
    Silent { what: &'static str },
    #[error("a frame of the snapshot cannot be made")]
    Frame { source: FrameError },
}

#[derive(Debug)]
enum Phase {
    Closed,
    Greeting { since: Moment },
    Live { held: Option<Digest> },
}

/// One agent, over all its streams. The desired objects outlive each of them.
#[derive(Debug)]
pub struct AgentSession {
    facts: AgentFacts,
    phase: Phase,
    desired: Incoming,
    snapshot: Option<Outgoing>,
    epoch: u64,
    resyncs: u32,
    unapplied: VecDeque<Ack>,
    heard: Moment,
}

impl AgentSession {
    pub fn new(facts: AgentFacts, desired: Incoming) -> Self {
        Self {
            facts,
            phase: Phase::Closed,
            desired,
            snapshot: None,
            epoch: 0,
            resyncs: 0,
            unapplied: VecDeque::new(),
            heard: Moment::ZERO,
        }
    }

    /// What the server wants the cluster to have, as far as it is known.
    pub fn desired(&self) -> &Incoming {
        &self.desired
    }

    /// Whether the server serves this agent now.
    pub fn live(&self) -> bool {
        matches!(self.phase, Phase::Live { .. })
    }

    /// Whether the server confirmed that it holds the whole snapshot.
    pub fn warmed(&self) -> bool {
        self.live() && self.snapshot.as_ref().is_some_and(Outgoing::synced)
    }

    /// A new stream: the message it begins with.
    pub fn open(&mut self, now: Moment) -> FromAgent {
        self.close();
        self.phase = Phase::Greeting { since: now };
        self.desired.reopen();
        (self.resyncs, self.heard) = (0, now);
        let digest = self.desired.digest().map(Digest::to_bytes);
        message(from_agent::Message::Hello(Hello {
            protocol_version: PROTOCOL,
            agent_version: self.facts.version.clone(),
            cluster_uid: self.facts.cluster_uid.clone(),
            instance: self.facts.instance.clone(),
            started_ms: self.facts.started_ms,
            desired_digest: digest.unwrap_or_default(),
            capabilities: self.facts.capabilities.clone(),
        }))
    }

    /// The stream is gone.
    pub fn close(&mut self) {
        self.phase = Phase::Closed;
        self.snapshot = None;
        self.unapplied.clear();
    }

    pub fn receive(
        &mut self,
        now: Moment,
        received: FromServer,
    ) -> Result<Vec<AgentStep>, AgentEnd> {
        use from_server::Message;
        let Some(received) = received.message else {
            // Of a later protocol version; what must be understood is not said in a new message.
            return Ok(Vec::new());
        };
        if let Message::Refused(refused) = received {
            return Err(AgentEnd::Refused {
                code: refused.code(),
                reason: refused.reason,
            });
        }
        self.heard = now;
        match (received, &self.phase) {
            (Message::Welcome(welcome), Phase::Greeting { .. }) => self.welcome(&welcome),
            (Message::Welcome(_), _) => Err(AgentEnd::Unexpected { what: "a greeting" }),
            (_, Phase::Closed | Phase::Greeting { .. }) => Err(AgentEnd::Unexpected {
                what: "something before its greeting",
            }),
            (Message::SnapshotAck(ack), _) => {
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.acked(&ack);
                }
                Ok(Vec::new())
            }
            (Message::Desired(frame), _) => self.frame(&frame),
            (Message::Settled(settled), _) => {
                let turn = settled.turn;
                Ok(vec![AgentStep::Settled { turn }])
            }
            (Message::Resync(resync), _) => self.restart(&resync),
            (Message::Refused(_), _) => Ok(Vec::new()),
        }
    }

    fn welcome(&mut self, welcome: &Welcome) -> Result<Vec<AgentStep>, AgentEnd> {
        let version = welcome.protocol_version;
        common_version(version).ok_or(AgentEnd::Version { version })?;
        let held = Digest::from_bytes(&welcome.snapshot_digest).ok();
        self.phase = Phase::Live { held };
        Ok(vec![AgentStep::Welcomed])
    }

    fn frame(&mut self, frame: &crate::proto::Frame) -> Result<Vec<AgentStep>, AgentEnd> {
        let (changes, full) = match self.desired.take(frame) {
            Ok(Taken::Old) => return Ok(Vec::new()),
            Ok(Taken::Part) => {
                let ack = from_agent::Message::DesiredAck(self.desired.ack());
                return Ok(vec![AgentStep::Send(message(ack))]);
            }
            Ok(Taken::Full(changes)) => (changes, true),
            Ok(Taken::Delta(changes)) => (changes, false),
            Err(source) => return self.refuse(source),
        };
        self.unapplied.push_back(self.desired.ack());
        Ok(vec![AgentStep::Apply { changes, full }])
    }

    fn refuse(&mut self, source: Refusal) -> Result<Vec<AgentStep>, AgentEnd> {
        self.resyncs += 1;
        if !source.curable() || self.resyncs > RESYNCS {
            return Err(AgentEnd::Desired { source });
        }
        let reason = source.to_string();
        let epoch = self.desired.await_resync();
        let resync = from_agent::Message::Resync(Resync { epoch, reason });
        Ok(vec![AgentStep::Send(message(resync))])
    }

    fn restart(&mut self, resync: &Resync) -> Result<Vec<AgentStep>, AgentEnd> {
        self.resyncs += 1;
        if self.resyncs > RESYNCS {
            return Err(AgentEnd::Resyncs);
        }
        if let Some(snapshot) = &mut self.snapshot {
            snapshot.resync(resync.epoch.saturating_add(1));
        }
        Ok(Vec::new())
    }

    /// The changes of the oldest [`AgentStep::Apply`] not yet reported took effect. None: the stream they came on is gone.
    pub fn applied(&mut self) -> Option<FromAgent> {
        let ack = self.unapplied.pop_front()?;
        Some(message(from_agent::Message::DesiredAck(ack)))
    }

    /// The next frame of what was observed. `None` for the source: the first observation is not complete.
    pub fn poll(
        &mut self,
        now: Moment,
        observed: Option<&Source>,
    ) -> Result<Option<FromAgent>, AgentEnd> {
        let (Phase::Live { held }, Some(source)) = (&self.phase, observed) else {
            return Ok(None);
        };
        let snapshot = self.snapshot.get_or_insert_with(|| {
            self.epoch += 1;
            if *held == Some(source.digest()) {
                Outgoing::resumed(self.epoch, source)
            } else {
                Outgoing::new(self.epoch)
            }
        });
        if !snapshot.waits() {
            self.heard = now;
        }
        let frame = snapshot
            .next(source)
            .map_err(|source| AgentEnd::Frame { source })?;
        self.epoch = snapshot.epoch();
        Ok(frame.map(|frame| message(from_agent::Message::Snapshot(frame))))
    }

    /// Ends a stream whose other side says nothing any more.
    pub fn check(&self, now: Moment) -> Result<(), AgentEnd> {
        let waits = self.snapshot.as_ref().is_some_and(Outgoing::waits);
        match self.phase {
            Phase::Greeting { since } if now.saturating_sub(since) > GREETING => {
                Err(AgentEnd::Silent {
                    what: "the greeting",
                })
            }
            Phase::Live { .. } if waits && now.saturating_sub(self.heard) > ACKNOWLEDGED => {
                Err(AgentEnd::Silent {
                    what: "the snapshot",
                })
            }
            _ => Ok(()),
        }
    }
}

fn message(message: from_agent::Message) -> FromAgent {
    FromAgent {
        message: Some(message),
    }
}
