use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{
    key::ObjectKey,
    proto::{Frame, frame::Phase},
};

fn key(name: impl std::fmt::Display) -> ObjectKey {
    ObjectKey::new("v1", "Pod", "shop", &format!("p{name}")).unwrap()
}

fn json(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into())
}

fn source(count: usize, size: usize) -> Source {
    let mut source = Source::default();
    for name in 0..count {
        source.set(key(name), json(format!("{name}-{}", "x".repeat(size))));
    }
    source
}

/// Moves all there is to move, acknowledging at once, or until it is refused.
fn send(
    outgoing: &mut Outgoing,
    source: &Source,
    incoming: &mut Incoming,
) -> Result<Vec<Taken>, Refusal> {
    let mut taken = Vec::new();
    while let Some(frame) = outgoing.next(source).unwrap() {
        taken.push(incoming.take(&frame)?);
        assert!(outgoing.acked(&incoming.ack()));
    }
    Ok(taken)
}

fn run(outgoing: &mut Outgoing, source: &Source, incoming: &mut Incoming) -> Vec<Taken> {
    send(outgoing, source, incoming).unwrap()
}

fn agree(source: &Source, incoming: &Incoming) {
    assert!(source.iter().eq(incoming.objects().iter()));
    assert_eq!(incoming.digest(), Some(source.digest()));
}

#[test]
fn a_full_snapshot_takes_effect_at_its_end_only() {
    let source = source(5, 700_000);
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    let first = outgoing.next(&source).unwrap().unwrap();
    assert_eq!(incoming.take(&first).unwrap(), Taken::Part);
    assert!(incoming.objects().is_empty() && incoming.digest().is_none());
    let taken = run(&mut outgoing, &source, &mut incoming);
    assert!(matches!(taken.last(), Some(Taken::Full(changes)) if changes.upserts.len() == 5));
    agree(&source, &incoming);
}

#[test]
fn an_empty_source_is_a_snapshot_too() {
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    let taken = run(&mut outgoing, &Source::default(), &mut incoming);
    assert_eq!(taken, [Taken::Full(Changes::default())]);
    assert!(incoming.digest().is_some() && outgoing.synced());
}

#[test]
fn what_changes_during_a_snapshot_is_in_it() {
    let mut source = source(6, 700_000);
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    let first = outgoing.next(&source).unwrap().unwrap();
    incoming.take(&first).unwrap();
    source.remove(&key(0));
    source.set(key(1), json("new"));
    source.set(key(9), json("late"));
    run(&mut outgoing, &source, &mut incoming);
    agree(&source, &incoming);
}

#[test]
fn many_changes_of_one_key_are_one_object_for_a_slow_reader() {
    let mut source = source(1, 10);
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    run(&mut outgoing, &source, &mut incoming);
    for round in 0..1000 {
        source.set(key(0), json(format!("{round}")));
    }
    let frame = outgoing.next(&source).unwrap().unwrap();
    assert_eq!(unpack(&frame.changes, frame.size).unwrap().len(), 1);
    assert!(outgoing.next(&source).unwrap().is_none());
}

#[test]
fn a_reader_that_never_acknowledges_stops_the_frames() {
    let mut source = source(1, 10);
    let mut outgoing = Outgoing::new(1);
    let mut frames = 0;
    for round in 0..100 {
        source.set(key(0), json(format!("{round}")));
        frames += usize::from(outgoing.next(&source).unwrap().is_some());
    }
    assert_eq!(frames, 8);
}

#[test]
fn forgotten_deletions_lead_to_a_fresh_snapshot() {
    let mut source = source(3000, 1);
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    run(&mut outgoing, &source, &mut incoming);
    for name in 0..2900 {
        source.remove(&key(name));
    }
    run(&mut outgoing, &source, &mut incoming);
    agree(&source, &incoming);
    assert!(outgoing.epoch() > 1);
}

#[test]
fn a_resumed_stream_sends_no_object_twice() {
    let mut source = source(100, 10);
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    run(&mut outgoing, &source, &mut incoming);
    incoming.reopen();
    let mut outgoing = Outgoing::resumed(2, &source);
    source.set(key(7), json("changed"));
    let taken = run(&mut outgoing, &source, &mut incoming);
    assert!(matches!(&taken[..], [Taken::Delta(changes)] if changes.len() == 1));
    assert!(outgoing.synced());
    agree(&source, &incoming);
}

#[test]
fn a_stream_resumed_on_a_wrong_belief_is_found_by_its_first_digest() {
    let (ours, mut incoming) = (source(3, 10), Incoming::default());
    run(&mut Outgoing::new(1), &source(2, 10), &mut incoming);
    incoming.reopen();
    let frame = Outgoing::resumed(2, &ours).next(&ours).unwrap().unwrap();
    let before = incoming.objects().clone();
    let refusal = incoming.take(&frame).unwrap_err();
    assert!(matches!(refusal, Refusal::Drift { .. }) && refusal.curable());
    assert_eq!(*incoming.objects(), before);
    let refusal = Incoming::default().take(&frame).unwrap_err();
    assert!(matches!(refusal, Refusal::Unknown));
}

#[test]
fn repeated_lost_and_reordered_frames_are_refused_by_number() {
    let mut source = source(4, 10);
    let (mut outgoing, mut incoming) = (Outgoing::new(3), Incoming::default());
    let first = outgoing.next(&source).unwrap().unwrap();
    incoming.take(&first).unwrap();
    source.set(key(1), json("a"));
    let second = outgoing.next(&source).unwrap().unwrap();
    source.set(key(1), json("b"));
    let third = outgoing.next(&source).unwrap().unwrap();
    for frame in [&first, &third] {
        let refusal = incoming.take(frame).unwrap_err();
        assert!(matches!(refusal, Refusal::Sequence { expected: 2, .. }));
    }
    incoming.take(&second).unwrap();
    let old = Frame { epoch: 2, ..third };
    assert!(matches!(
        incoming.take(&old),
        Err(Refusal::Epoch { current: 3, got: 2 })
    ));
}

#[test]
fn frames_under_way_when_a_fresh_snapshot_is_asked_for_are_dropped() {
    let mut source = source(4, 10);
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    run(&mut outgoing, &source, &mut incoming);
    source.set(key(1), json("lost"));
    drop(outgoing.next(&source));
    source.set(key(2), json("after"));
    let late = outgoing.next(&source).unwrap().unwrap();
    assert!(incoming.take(&late).unwrap_err().curable());
    let epoch = incoming.await_resync();
    assert_eq!(incoming.take(&late).unwrap(), Taken::Old);
    outgoing.resync(epoch + 1);
    run(&mut outgoing, &source, &mut incoming);
    agree(&source, &incoming);
}

fn frame(changes: Vec<u8>, size: u32) -> Frame {
    Frame {
        epoch: 1,
        sequence: 1,
        phase: Phase::FullEnd.into(),
        changes,
        size,
        digest: vec![0; 32],
    }
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_is_never_inflated_beyond_what_it_says() {
    let bomb = zlib(&vec![0; 64 << 20]);
    assert!(bomb.len() < 1 << 20);
    for (size, expected) in [(1000, "and has 1001"), (64 << 20, "are allowed")] {
        let refusal = Incoming::default()
            .take(&frame(bomb.clone(), size))
            .unwrap_err();
        let Refusal::Frame { source } = refusal else {
            panic!("{refusal}")
        };
        assert!(source.to_string().contains(expected), "{source}");
    }
}

#[test]
fn garbage_and_cut_frames_are_refused() {
    let good = Outgoing::new(1).next(&source(20, 50)).unwrap().unwrap();
    for length in 0..good.changes.len() {
        let cut = Frame {
            changes: good.changes[..length].to_vec(),
            ..good.clone()
        };
        assert!(Incoming::default().take(&cut).is_err());
    }
    assert!(
        Incoming::default()
            .take(&frame(b"garbage".to_vec(), 7))
            .is_err()
    );
    let no_digest = Frame {
        digest: Vec::new(),
        ..good.clone()
    };
    assert!(matches!(
        Incoming::default().take(&no_digest),
        Err(Refusal::Digest { .. })
    ));
    let unknown = Frame { phase: 9, ..good };
    assert!(matches!(
        Incoming::default().take(&unknown),
        Err(Refusal::Phase { .. })
    ));
}

#[test]
fn an_object_with_a_name_that_is_a_path_is_refused() {
    use prost::Message;
    let key = crate::proto::Key {
        api_version: "v1".into(),
        kind: "Pod".into(),
        namespace: "shop".into(),
        name: "../secrets/x".into(),
    };
    let message = crate::proto::Changes {
        upserts: Vec::new(),
        deletes: vec![key],
    }
    .encode_to_vec();
    let size = u32::try_from(message.len()).unwrap();
    assert!(matches!(
        unpack(&zlib(&message), size),
        Err(FrameError::Key { .. })
    ));
}

#[test]
fn a_sender_holds_no_more_than_its_limits() {
    let source = source(30, 10);
    let mut incoming = Incoming::new(Limits {
        objects: 20,
        bytes: 1 << 20,
    });
    let frame = Outgoing::new(1).next(&source).unwrap().unwrap();
    let refusal = incoming.take(&frame).unwrap_err();
    assert!(matches!(refusal, Refusal::Limit { .. }) && !refusal.curable());
    assert!(incoming.objects().is_empty());
}

#[test]
fn an_object_too_large_is_left_out_and_takes_its_predecessor_with_it() {
    let mut source = source(1, 1);
    assert!(source.set(key(0), Bytes::from(vec![b'x'; OBJECT_BYTES + 1])));
    assert!(source.is_empty());
    assert!(source.set(key(0), Bytes::from(vec![b'x'; OBJECT_BYTES])));
    let (mut outgoing, mut incoming) = (Outgoing::new(1), Incoming::default());
    run(&mut outgoing, &source, &mut incoming);
    agree(&source, &incoming);
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8, bool),
    Remove(u8),
    Send,
    Deliver,
    Acknowledge,
    Drop,
    Repeat,
    Break,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..12_u8, any::<u8>(), any::<bool>()).prop_map(|(k, v, big)| Step::Set(k, v, big)),
        2 => (0..12_u8).prop_map(Step::Remove),
        4 => Just(Step::Send),
        4 => Just(Step::Deliver),
        3 => Just(Step::Acknowledge),
        1 => Just(Step::Drop),
        1 => Just(Step::Repeat),
        1 => Just(Step::Break),
    ];
    prop::collection::vec(step, 0..80)
}

/// Two sides with a wire between them that loses, repeats and breaks.
#[derive(Default)]
struct Link {
    source: Source,
    outgoing: Option<Outgoing>,
    incoming: Incoming,
    wire: std::collections::VecDeque<Frame>,
    acks: std::collections::VecDeque<crate::proto::Ack>,
    epoch: u64,
}

impl Link {
    fn open(&mut self) -> &mut Outgoing {
        self.epoch += 1;
        let same = self.incoming.digest() == Some(self.source.digest());
        let outgoing = if same {
            Outgoing::resumed(self.epoch, &self.source)
        } else {
            Outgoing::new(self.epoch)
        };
        self.incoming.reopen();
        self.wire.clear();
        self.acks.clear();
        self.outgoing.insert(outgoing)
    }

    fn send(&mut self) -> bool {
        if self.outgoing.is_none() {
            self.open();
        }
        let frame = self.outgoing.as_mut().unwrap().next(&self.source).unwrap();
        let sent = frame.is_some();
        self.wire.extend(frame);
        sent
    }

    fn deliver(&mut self) -> bool {
        let Some(frame) = self.wire.pop_front() else {
            return false;
        };
        match self.incoming.take(&frame) {
            Ok(Taken::Old) => {}
            Ok(_) => self.acks.push_back(self.incoming.ack()),
            Err(refusal) => {
                assert!(refusal.curable(), "{refusal}");
                let epoch = self.incoming.await_resync();
                self.acks.clear();
                self.outgoing.as_mut().unwrap().resync(epoch + 1);
                self.epoch = self.outgoing.as_ref().unwrap().epoch();
            }
        }
        true
    }

    fn acknowledge(&mut self) -> bool {
        let Some(ack) = self.acks.pop_front() else {
            return false;
        };
        self.outgoing.as_mut().unwrap().acked(&ack);
        true
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Set(name, value, big) => {
                let size = if big { 200_000 } else { 3 };
                let text = format!("{value}").repeat(size);
                self.source.set(key(name), json(text));
            }
            Step::Remove(name) => drop(self.source.remove(&key(name))),
            Step::Send => drop(self.send()),
            Step::Deliver => drop(self.deliver()),
            Step::Acknowledge => drop(self.acknowledge()),
            Step::Drop => drop(self.wire.pop_front()),
            Step::Repeat => {
                let first = self.wire.front().cloned();
                self.wire.extend(first);
            }
            Step::Break => {
                self.outgoing = None;
                self.wire.clear();
                self.acks.clear();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_sides_agree_after_any_loss_repetition_and_break(steps in steps()) {
        let mut link = Link::default();
        for step in steps {
            link.step(step);
            prop_assert!(link.wire.len() <= 40, "the wire holds what the window allows");
        }
        // Lost frames show only when the next one arrives; a quiet stream is ended by its keep-alive.
        link.step(Step::Break);
        while link.send() | link.deliver() | link.acknowledge() {}
        prop_assert!(link.source.iter().eq(link.incoming.objects().iter()));
        prop_assert!(link.outgoing.as_ref().unwrap().synced());
    }

    #[test]
    fn bytes_of_anybody_never_change_what_is_held(
        changes in prop::collection::vec(any::<u8>(), 0..200),
        size in 0..300_u32,
        digest in prop::collection::vec(any::<u8>(), 0..33),
        phase in 0..6,
        sequence in 0..4_u64,
    ) {
        let mut incoming = Incoming::default();
        run(&mut Outgoing::new(1), &source(3, 5), &mut incoming);
        let before = incoming.objects().clone();
        let frame = Frame { epoch: 1, sequence, phase, changes, size, digest };
        prop_assert!(incoming.take(&frame).is_err());
        prop_assert_eq!(incoming.objects(), &before);
    }
}

mod room;
