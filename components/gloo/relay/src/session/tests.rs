use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::{
    key::ObjectKey,
    proto::{FromAgent, FromServer, from_agent, refused::Code},
    table::{Changes, Incoming, Source},
};

const NOW: Moment = Duration::from_secs(100);

fn agent() -> AgentSession {
    AgentSession::new(
        AgentFacts {
            version: "0.1.0".to_owned(),
            cluster_uid: "uid".to_owned(),
            instance: "one".to_owned(),
            started_ms: 1,
            capabilities: Vec::new(),
        },
        Incoming::default(),
    )
}

fn source(names: &[&str]) -> Source {
    let mut source = Source::default();
    for name in names {
        let key = ObjectKey::new("v1", "Pod", "shop", name).unwrap();
        source.set(key, Bytes::from_static(b"{}"));
    }
    source
}

/// Both ends, joined without a wire.
struct Pair {
    agent: AgentSession,
    server: ServerSession,
    applied: Vec<(Changes, bool)>,
    observed: Vec<(Changes, bool)>,
}

impl Pair {
    fn new() -> Self {
        Self {
            agent: agent(),
            server: ServerSession::new(NOW),
            applied: Vec::new(),
            observed: Vec::new(),
        }
    }

    fn open(&mut self, held: Incoming) {
        self.server = ServerSession::new(NOW);
        let hello = self.agent.open(NOW);
        let steps = self.server.receive(NOW, hello).unwrap();
        assert!(matches!(&steps[..], [ServerStep::Hello(_)]));
        let welcome = self.server.admit(held, "0.1.0", "server");
        self.down(welcome);
    }

    fn down(&mut self, message: FromServer) {
        for step in self.agent.receive(NOW, message).unwrap() {
            match step {
                AgentStep::Send(message) => self.up(message),
                AgentStep::Welcomed | AgentStep::Settled { .. } => {}
                AgentStep::Apply { changes, full } => {
                    self.applied.push((changes, full));
                    let ack = self.agent.applied().unwrap();
                    self.up(ack);
                }
            }
        }
    }

    fn up(&mut self, message: FromAgent) {
        for step in self.server.receive(NOW, message).unwrap() {
            match step {
                ServerStep::Send(message) => self.down(message),
                ServerStep::Observed { changes, full } => {
                    self.observed.push((changes, full));
                    let ack = self.server.taken().unwrap();
                    self.down(ack);
                }
                ServerStep::Hello(_) | ServerStep::Acked(_) | ServerStep::Results(_) => {}
            }
        }
    }

    fn settle(&mut self, observed: Option<&Source>, desired: Option<&Source>) {
        loop {
            let up = self.agent.poll(NOW, observed).unwrap();
            let down = self.server.poll(NOW, desired).unwrap();
            if up.is_none() && down.is_none() {
                return;
            }
            if let Some(message) = up {
                self.up(message);
            }
            if let Some(message) = down {
                self.down(message);
            }
        }
    }
}

#[test]
fn both_directions_are_replicated_and_confirmed() {
    let mut pair = Pair::new();
    pair.open(Incoming::default());
    pair.settle(Some(&source(&["a", "b"])), Some(&source(&["c"])));
    assert!(pair.agent.warmed() && pair.server.warmed());
    assert_eq!(pair.server.snapshot().objects().len(), 2);
    assert_eq!(pair.agent.desired().objects().len(), 1);
}

#[test]
fn nothing_is_said_about_what_is_not_known() {
    let mut pair = Pair::new();
    pair.open(Incoming::default());
    pair.settle(None, None);
    assert!(pair.applied.is_empty() && pair.observed.is_empty());
    assert!(!pair.server.warmed());
    assert!(pair.agent.desired().digest().is_none());
}

#[test]
fn a_second_stream_goes_on_where_the_first_ended() {
    let mut pair = Pair::new();
    let (observed, desired) = (source(&["a", "b"]), source(&["c"]));
    pair.open(Incoming::default());
    pair.settle(Some(&observed), Some(&desired));
    let held = pair.server.snapshot().clone();
    pair.agent.close();
    (pair.applied, pair.observed) = (Vec::new(), Vec::new());
    pair.open(held);
    pair.settle(Some(&observed), Some(&desired));
    assert!(pair.agent.warmed() && pair.server.warmed());
    assert_eq!(pair.applied, [(Changes::default(), false)]);
    assert_eq!(pair.observed, [(Changes::default(), false)]);
}

#[test]
fn a_server_that_lost_its_memory_gets_everything_again() {
    let mut pair = Pair::new();
    let observed = source(&["a", "b"]);
    pair.open(Incoming::default());
    pair.settle(Some(&observed), None);
    pair.open(Incoming::default());
    pair.settle(Some(&observed), None);
    assert!(pair.observed.last().unwrap().1);
    assert_eq!(pair.server.snapshot().objects().len(), 2);
}

#[test]
fn messages_out_of_turn_end_the_stream() {
    let mut server = ServerSession::new(NOW);
    let ack = FromAgent {
        message: Some(from_agent::Message::DesiredAck(crate::proto::Ack::default())),
    };
    let end = server.receive(NOW, ack).unwrap_err();
    assert!(matches!(end, ServerEnd::Unexpected { .. }));
    let mut agent = agent();
    let hello = agent.open(NOW);
    server.receive(NOW, hello.clone()).unwrap();
    assert!(matches!(
        server.receive(NOW, hello),
        Err(ServerEnd::Unexpected { what: "a greeting" })
    ));
}

#[test]
fn another_protocol_version_is_refused_with_the_versions() {
    let mut hello = agent().open(NOW);
    if let Some(from_agent::Message::Hello(hello)) = &mut hello.message {
        hello.protocol_version = 0;
    }
    let end = ServerSession::new(NOW).receive(NOW, hello).unwrap_err();
    let mut agent = agent();
    agent.open(NOW);
    let AgentEnd::Refused { code, reason } = agent.receive(NOW, end.message()).unwrap_err() else {
        panic!("refused");
    };
    assert_eq!(code, Code::Version);
    assert!(
        reason.contains("version 0") && reason.contains("1 to 1"),
        "{reason}"
    );
    // A later agent speaks ours.
    assert_eq!(common_version(7), Some(1));
}

#[test]
fn silence_is_noticed_at_both_ends() {
    let late = NOW + ACKNOWLEDGED + Duration::from_secs(1);
    let mut agent = agent();
    let mut server = ServerSession::new(NOW);
    assert!(server.check(NOW + GREETING).is_ok());
    assert!(matches!(server.check(late), Err(ServerEnd::Silent { .. })));
    let hello = agent.open(NOW);
    assert!(matches!(agent.check(late), Err(AgentEnd::Silent { .. })));
    server.receive(NOW, hello).unwrap();
    let welcome = server.admit(Incoming::default(), "", "");
    agent.receive(NOW, welcome).unwrap();
    // Nobody owes anything: an idle stream lives.
    assert!(agent.check(late).is_ok() && server.check(late).is_ok());
    agent.poll(NOW, Some(&source(&["a"]))).unwrap().unwrap();
    server.poll(NOW, Some(&source(&["a"]))).unwrap().unwrap();
    assert!(agent.check(late).is_err() && server.check(late).is_err());
}

#[test]
fn garbage_ends_a_stream_and_drift_asks_for_a_fresh_snapshot_five_times() {
    let mut pair = Pair::new();
    let observed = source(&["a"]);
    pair.open(Incoming::default());
    let frame = |changes: &[u8], sequence| FromAgent {
        message: Some(from_agent::Message::Snapshot(crate::proto::Frame {
            epoch: 1,
            sequence,
            phase: 2,
            changes: changes.to_vec(),
            size: 1,
            digest: vec![0; 32],
        })),
    };
    let skipped = frame(b"", 7);
    pair.up(skipped.clone());
    pair.settle(Some(&observed), None);
    assert!(pair.server.warmed());
    let end = pair.server.receive(NOW, frame(b"x", 1)).map(|_| ());
    assert!(end.is_err() || pair.server.warmed());
    let mut server = ServerSession::new(NOW);
    server.receive(NOW, agent().open(NOW)).unwrap();
    server.admit(Incoming::default(), "", "");
    let mut ends = 0;
    for epoch in 1..20 {
        let mut skipped = skipped.clone();
        if let Some(from_agent::Message::Snapshot(frame)) = &mut skipped.message {
            frame.epoch = epoch;
        }
        ends += usize::from(server.receive(NOW, skipped).is_err());
    }
    assert!(ends > 0, "a stream does not resync for ever");
    let mut server = ServerSession::new(NOW);
    server.receive(NOW, agent().open(NOW)).unwrap();
    server.admit(Incoming::default(), "", "");
    let end = server.receive(NOW, frame(b"x", 1)).unwrap_err();
    assert!(matches!(end, ServerEnd::Snapshot { .. }));
}
