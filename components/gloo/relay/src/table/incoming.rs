//! Frames into objects, from a side that is not trusted.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{
    Changes, FrameError, Objects,
    room::{Full, Seat, Weigh},
    set::Set,
    unpack,
};
use crate::{
    digest::Digest,
    key::ObjectKey,
    proto::{Ack, Frame, frame::Phase},
};

/// What one sender may make the receiver hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub objects: usize,
    /// Of all objects, uncompressed.
    pub bytes: usize,
}

/// 50,000 objects in one snapshot are served; ten times as many are a mistake or an attack.
impl Default for Limits {
    fn default() -> Self {
        Self {
            objects: 500_000,
            bytes: 512 << 20,
        }
    }
}

/// Why a frame was not taken. The objects are as before it.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(
        "frame {got} of epoch {epoch} came where {expected} was due: frames are lost, repeated or reordered"
    )]
    Sequence { epoch: u64, expected: u64, got: u64 },
    #[error("a frame of epoch {got} came in epoch {current}")]
    Epoch { current: u64, got: u64 },
    #[error("a frame of phase {phase} came in the middle of {inside}")]
    Phase { phase: i32, inside: &'static str },
    #[error("a frame cannot be read")]
    Frame { source: FrameError },
    #[error("a frame's digest cannot be read")]
    Digest { source: crate::digest::DigestError },
    #[error("the objects differ from the sender's: theirs are {theirs}, ours {ours}")]
    Drift { theirs: Digest, ours: Digest },
    #[error("changes came before any full snapshot")]
    Unknown,
    #[error("more than {} objects or {} bytes", limits.objects, limits.bytes)]
    Limit { limits: Limits },
    #[error("{full}")]
    Full { full: Full },
}

impl Refusal {
    /// Whether a fresh snapshot can cure it. What cannot be read, or is too much, will not get better.
    pub fn curable(&self) -> bool {
        matches!(
            self,
            Self::Sequence { .. } | Self::Drift { .. } | Self::Epoch { .. } | Self::Unknown
        )
    }
}

/// What a frame led to.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// Staged; nothing changed yet.
    Part,
    /// A full snapshot took effect; this is what it changed.
    Full(Changes),
    /// Changes took effect.
    Delta(Changes),
    /// A frame from before the fresh snapshot that was asked for; dropped.
    Old,
}

#[derive(Clone, Debug, Default)]
enum Staged {
    #[default]
    Nothing,
    /// The snapshot being received, and the weight of what of it is not held. What is held stays in force until its end.
    Full(Set, usize),
    /// The last word on each key.
    Delta(BTreeMap<ObjectKey, Option<Bytes>>, Sums),
}

/// Of all that came of a change.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    bytes: usize,
    weight: usize,
}

/// The objects of the other side, as far as they are known. Outlives a stream.
#[derive(Clone, Debug)]
pub struct Incoming {
    held: Set,
    known: bool,
    staged: Staged,
    epoch: u64,
    sequence: u64,
    /// A fresh snapshot was asked for: only a later epoch counts.
    awaiting: bool,
    limits: Limits,
    /// `None`: the limits are all there is.
    seat: Option<Seat>,
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Incoming {
    pub fn new(limits: Limits) -> Self {
        Self::made(limits, None)
    }

    /// One that shares memory with others.
    pub fn seated(limits: Limits, seat: Seat) -> Self {
        Self::made(limits, Some(seat))
    }

    fn made(limits: Limits, seat: Option<Seat>) -> Self {
        let weigh = seat.as_ref().map_or(length as Weigh, Seat::weigh);
        Self {
            held: Set::new(weigh),
            known: false,
            staged: Staged::Nothing,
            epoch: 0,
            sequence: 0,
            awaiting: false,
            limits,
            seat,
        }
    }

    /// With what was held before, for a sender that may go on from there.
    #[must_use]
    pub fn holding(mut self, objects: Objects) -> Self {
        self.known = true;
        for (key, bytes) in objects {
            self.held.put(key, bytes);
        }
        if let Some(seat) = &self.seat {
            seat.kept(self.held.weight);
        }
        self
    }

    pub fn objects(&self) -> &Objects {
        &self.held.objects
    }

    /// Of the objects; none before the first full snapshot.
    pub fn digest(&self) -> Option<Digest> {
        self.known.then_some(self.held.digest)
    }

    /// A new stream: keeps the objects, forgets the numbers.
    pub fn reopen(&mut self) {
        self.unstage();
        (self.epoch, self.sequence, self.awaiting) = (0, 0, false);
    }

    /// The epoch to ask a fresh snapshot after. Frames up to it are dropped from now on.
    pub fn await_resync(&mut self) -> u64 {
        self.unstage();
        self.awaiting = true;
        self.epoch
    }

    /// What to acknowledge the last taken frame with.
    pub fn ack(&self) -> Ack {
        Ack {
            epoch: self.epoch,
            sequence: self.sequence,
            digest: self.held.digest.to_bytes(),
        }
    }

    /// Takes a frame, or refuses it and keeps its objects. After a refusal the caller asks for a fresh snapshot
    /// ([`Self::await_resync`]) or ends the stream.
    pub fn take(&mut self, frame: &Frame) -> Result<Taken, Refusal> {
        let taken = self.accept(frame);
        if let (Err(_), Staged::Nothing) = (&taken, &self.staged) {
            self.unstage();
        }
        taken
    }

    fn unstage(&mut self) {
        self.staged = Staged::Nothing;
        if let Some(seat) = &self.seat {
            seat.let_go();
        }
    }

    fn accept(&mut self, frame: &Frame) -> Result<Taken, Refusal> {
        if self.awaiting && frame.epoch <= self.epoch {
            return Ok(Taken::Old);
        }
        let (epoch, sequence) = self.place(frame)?;
        let phase = self.phase(frame, epoch)?;
        let digest = match phase {
            Phase::FullEnd | Phase::DeltaEnd => Some(
                Digest::from_bytes(&frame.digest).map_err(|source| Refusal::Digest { source })?,
            ),
            _ => None,
        };
        let changes =
            unpack(&frame.changes, frame.size).map_err(|source| Refusal::Frame { source })?;
        if epoch != self.epoch {
            self.staged = Staged::Nothing;
        }
        (self.epoch, self.sequence, self.awaiting) = (epoch, sequence, false);
        match phase {
            Phase::FullPart | Phase::FullEnd => self.full(changes, digest),
            _ => self.delta(changes, digest),
        }
    }

    /// The frame's epoch and number, when they are due.
    fn place(&self, frame: &Frame) -> Result<(u64, u64), Refusal> {
        if frame.epoch < self.epoch {
            return Err(Refusal::Epoch {
                current: self.epoch,
                got: frame.epoch,
            });
        }
        let expected = if frame.epoch == self.epoch {
            self.sequence + 1
        } else {
            1
        };
        if frame.sequence == expected {
            Ok((frame.epoch, expected))
        } else {
            Err(Refusal::Sequence {
                epoch: frame.epoch,
                expected,
                got: frame.sequence,
            })
        }
    }

    fn phase(&self, frame: &Frame, epoch: u64) -> Result<Phase, Refusal> {
        let refused = |inside| Refusal::Phase {
            phase: frame.phase,
            inside,
        };
        let phase = Phase::try_from(frame.phase).map_err(|_| refused("a stream"))?;
        let full = matches!(phase, Phase::FullPart | Phase::FullEnd);
        let same = epoch == self.epoch;
        match (phase, &self.staged) {
            (Phase::Unspecified, _) => Err(refused("a stream")),
            (_, Staged::Full(..)) if same && !full => Err(refused("a full snapshot")),
            (_, Staged::Delta(..)) if same && full => Err(refused("a change")),
            (_, Staged::Nothing) if same && full => Err(refused("an epoch that has its snapshot")),
            _ => Ok(phase),
        }
    }

    fn full(&mut self, changes: Changes, digest: Option<Digest>) -> Result<Taken, Refusal> {
        let (mut set, mut weight) = match std::mem::take(&mut self.staged) {
            Staged::Full(set, weight) => (set, weight),
            _ => (self.held.like(), 0),
        };
        for (key, bytes) in changes.upserts {
            let (bytes, more) = self.held.share(&key, bytes);
            weight += more;
            set.put(key, bytes);
        }
        for key in &changes.deletes {
            set.take(key);
        }
        self.within(&set)?;
        self.ask(weight, set.weight)?;
        let Some(theirs) = digest else {
            self.staged = Staged::Full(set, weight);
            return Ok(Taken::Part);
        };
        same(theirs, set.digest)?;
        let changes = difference(&self.held.objects, &set.objects);
        self.held = set;
        self.known = true;
        self.sit();
        Ok(Taken::Full(changes))
    }

    fn delta(&mut self, changes: Changes, digest: Option<Digest>) -> Result<Taken, Refusal> {
        if !self.known {
            return Err(Refusal::Unknown);
        }
        let (mut all, mut sums) = match std::mem::take(&mut self.staged) {
            Staged::Delta(all, sums) => (all, sums),
            _ => (BTreeMap::new(), Sums::default()),
        };
        self.sum(&changes, &mut sums);
        all.extend(changes.deletes.into_iter().map(|key| (key, None)));
        all.extend(
            changes
                .upserts
                .into_iter()
                .map(|(key, bytes)| (key, Some(bytes))),
        );
        if all.len() > 2 * self.limits.objects || sums.bytes > self.limits.bytes {
            return Err(Refusal::Limit {
                limits: self.limits,
            });
        }
        self.ask(sums.weight, 0)?;
        let Some(theirs) = digest else {
            self.staged = Staged::Delta(all, sums);
            return Ok(Taken::Part);
        };
        let undo = self.apply(&all);
        let checked = same(theirs, self.held.digest)
            .and_then(|()| self.within(&self.held))
            .and_then(|()| self.ask(sums.weight, self.held.weight));
        if let Err(refusal) = checked {
            self.apply(&undo);
            return Err(refusal);
        }
        self.sit();
        Ok(Taken::Delta(changes_of(all)))
    }

    fn sum(&self, changes: &Changes, sums: &mut Sums) {
        for (key, bytes) in &changes.upserts {
            sums.bytes += bytes.len();
            sums.weight += self.held.weigh(key, bytes);
        }
        // What is not there can be deleted, too, and is remembered until the end.
        for key in &changes.deletes {
            if !self.held.objects.contains_key(key) {
                sums.weight += self.held.weigh(key, b"");
            }
        }
    }

    /// Returns what was there before.
    fn apply(
        &mut self,
        changes: &BTreeMap<ObjectKey, Option<Bytes>>,
    ) -> BTreeMap<ObjectKey, Option<Bytes>> {
        let mut undo = BTreeMap::new();
        for (key, bytes) in changes {
            undo.insert(key.clone(), self.held.objects.get(key).cloned());
            match bytes {
                Some(bytes) => self.held.put(key.clone(), bytes.clone()),
                None => drop(self.held.take(key)),
            }
        }
        undo
    }

    fn ask(&self, arriving: usize, result: usize) -> Result<(), Refusal> {
        let Some(seat) = &self.seat else {
            return Ok(());
        };
        seat.arriving(arriving, result)
            .map_err(|full| Refusal::Full { full })
    }

    /// What is held now is what was taken.
    fn sit(&self) {
        if let Some(seat) = &self.seat {
            seat.taken(self.held.weight);
        }
    }

    fn within(&self, set: &Set) -> Result<(), Refusal> {
        if set.objects.len() > self.limits.objects || set.bytes > self.limits.bytes {
            return Err(Refusal::Limit {
                limits: self.limits,
            });
        }
        Ok(())
    }
}

fn length(_: &ObjectKey, bytes: &[u8]) -> usize {
    bytes.len()
}

fn same(theirs: Digest, ours: Digest) -> Result<(), Refusal> {
    if theirs == ours {
        Ok(())
    } else {
        Err(Refusal::Drift { theirs, ours })
    }
}

fn changes_of(all: BTreeMap<ObjectKey, Option<Bytes>>) -> Changes {
    let mut changes = Changes::default();
    for (key, bytes) in all {
        match bytes {
            Some(bytes) => changes.upserts.push((key, bytes)),
            None => changes.deletes.push(key),
        }
    }
    changes
}

/// What makes `after` of `before`.
fn difference(before: &Objects, after: &Objects) -> Changes {
    Changes {
        upserts: after
            .iter()
            .filter(|(key, bytes)| before.get(*key) != Some(*bytes))
            .map(|(key, bytes)| (key.clone(), bytes.clone()))
            .collect(),
        deletes: before
            .keys()
            .filter(|key| !after.contains_key(*key))
            .cloned()
            .collect(),
    }
}
