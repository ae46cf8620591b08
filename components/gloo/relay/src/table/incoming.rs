//! Frames into objects, from a side that is not trusted.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Changes, FrameError, Objects, unpack};
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
struct Set {
    objects: Objects,
    digest: Digest,
    bytes: usize,
}

impl Set {
    fn put(&mut self, key: ObjectKey, bytes: Bytes) {
        self.digest.add(Digest::of(&key, &bytes));
        self.bytes += bytes.len();
        if let Some(old) = self.objects.insert(key.clone(), bytes) {
            self.digest.remove(Digest::of(&key, &old));
            self.bytes -= old.len();
        }
    }

    fn take(&mut self, key: &ObjectKey) -> Option<Bytes> {
        let old = self.objects.remove(key)?;
        self.digest.remove(Digest::of(key, &old));
        self.bytes -= old.len();
        Some(old)
    }
}

#[derive(Clone, Debug, Default)]
enum Staged {
    #[default]
    Nothing,
    /// The snapshot being received. What is held stays in force until its end.
    Full(Set),
    /// The last word on each key, and the bytes of all that came.
    Delta(BTreeMap<ObjectKey, Option<Bytes>>, usize),
}

/// The objects of the other side, as far as they are known. Outlives a stream.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    held: Set,
    known: bool,
    staged: Staged,
    epoch: u64,
    sequence: u64,
    /// A fresh snapshot was asked for: only a later epoch counts.
    awaiting: bool,
    limits: Limits,
}

impl Incoming {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    /// With what was held before, for a sender that may go on from there.
    pub fn holding(objects: Objects, limits: Limits) -> Self {
        let mut incoming = Self::new(limits);
        incoming.known = true;
        for (key, bytes) in objects {
            incoming.held.put(key, bytes);
        }
        incoming
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
        self.staged = Staged::Nothing;
        (self.epoch, self.sequence, self.awaiting) = (0, 0, false);
    }

    /// The epoch to ask a fresh snapshot after. Frames up to it are dropped from now on.
    pub fn await_resync(&mut self) -> u64 {
        self.staged = Staged::Nothing;
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
            (_, Staged::Full(_)) if same && !full => Err(refused("a full snapshot")),
            (_, Staged::Delta(..)) if same && full => Err(refused("a change")),
            (_, Staged::Nothing) if same && full => Err(refused("an epoch that has its snapshot")),
            _ => Ok(phase),
        }
    }

    fn full(&mut self, changes: Changes, digest: Option<Digest>) -> Result<Taken, Refusal> {
        let mut set = match std::mem::take(&mut self.staged) {
            Staged::Full(set) => set,
            _ => Set::default(),
        };
        for (key, bytes) in changes.upserts {
            set.put(key, bytes);
        }
        for key in &changes.deletes {
            set.take(key);
        }
        self.within(&set)?;
        let Some(theirs) = digest else {
            self.staged = Staged::Full(set);
            return Ok(Taken::Part);
        };
        same(theirs, set.digest)?;
        let changes = difference(&self.held.objects, &set.objects);
        self.held = set;
        self.known = true;
        Ok(Taken::Full(changes))
    }

    fn delta(&mut self, changes: Changes, digest: Option<Digest>) -> Result<Taken, Refusal> {
        if !self.known {
            return Err(Refusal::Unknown);
        }
        let (mut all, mut bytes) = match std::mem::take(&mut self.staged) {
            Staged::Delta(all, bytes) => (all, bytes),
            _ => (BTreeMap::new(), 0),
        };
        bytes += changes
            .upserts
            .iter()
            .map(|(_, json)| json.len())
            .sum::<usize>();
        all.extend(changes.deletes.into_iter().map(|key| (key, None)));
        all.extend(
            changes
                .upserts
                .into_iter()
                .map(|(key, bytes)| (key, Some(bytes))),
        );
        if all.len() > 2 * self.limits.objects || bytes > self.limits.bytes {
            return Err(Refusal::Limit {
                limits: self.limits,
            });
        }
        let Some(theirs) = digest else {
            self.staged = Staged::Delta(all, bytes);
            return Ok(Taken::Part);
        };
        let undo = self.apply(&all);
        let checked = same(theirs, self.held.digest).and_then(|()| self.within(&self.held));
        if let Err(refusal) = checked {
            self.apply(&undo);
            return Err(refusal);
        }
        Ok(Taken::Delta(changes_of(all)))
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

    fn within(&self, set: &Set) -> Result<(), Refusal> {
        if set.objects.len() > self.limits.objects || set.bytes > self.limits.bytes {
            return Err(Refusal::Limit {
                limits: self.limits,
            });
        }
        Ok(())
    }
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
