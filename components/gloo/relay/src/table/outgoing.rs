//! Frames out of a source, for one stream.

use std::collections::VecDeque;

use super::{FrameError, PART_BYTES, Source, pack};
use crate::{
    digest::Digest,
    key::ObjectKey,
    proto::{Ack, Frame, frame::Phase},
};

/// Frames that may be unacknowledged. More would only fill buffers; what waits here is a key in the source, not a message.
const WINDOW: usize = 8;

#[derive(Debug)]
enum Position {
    /// In a full snapshot, after this key. What changes among the keys already sent is sent before the end.
    Full {
        after: Option<ObjectKey>,
    },
    /// All keys were sent; what changed meanwhile follows.
    CatchUp,
    Delta,
}

/// What was sent of a source, and what of it arrived. Holds frames' numbers, never their content.
#[derive(Debug)]
pub struct Outgoing {
    epoch: u64,
    sequence: u64,
    position: Position,
    /// The source's revision up to which changes were sent.
    since: u64,
    /// A delta that is to be sent even if nothing changed: the first of a resumed stream.
    due: bool,
    /// Some parts were sent whose end was not.
    open: bool,
    unacked: VecDeque<(u64, Option<Digest>)>,
    synced: bool,
}

impl Outgoing {
    /// Starts with a full snapshot.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            sequence: 0,
            position: Position::Full { after: None },
            since: 0,
            due: false,
            open: false,
            unacked: VecDeque::new(),
            synced: false,
        }
    }

    /// Starts with changes, for a receiver that holds what `source` holds now. Its first frame is sent in any case, and its
    /// digest shows whether that was true.
    pub fn resumed(epoch: u64, source: &Source) -> Self {
        Self {
            position: Position::Delta,
            since: source.revision(),
            due: true,
            ..Self::new(epoch)
        }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether the receiver confirmed that it holds all of the source, once in this epoch.
    pub fn synced(&self) -> bool {
        self.synced
    }

    /// Whether frames wait to be acknowledged.
    pub fn waits(&self) -> bool {
        !self.unacked.is_empty()
    }

    /// Starts over. The receiver drops what is still under way from the epoch before.
    pub fn resync(&mut self, epoch: u64) {
        *self = Self::new(epoch.max(self.epoch + 1));
    }

    /// The next frame, when there is something to say and the receiver keeps up.
    pub fn next(&mut self, source: &Source) -> Result<Option<Frame>, FrameError> {
        if self.unacked.len() >= WINDOW {
            return Ok(None);
        }
        if !matches!(self.position, Position::Full { after: None }) && !source.remembers(self.since)
        {
            self.resync(self.epoch + 1);
        }
        if let Position::Full { after } = &self.position {
            if after.is_none() {
                self.since = source.revision();
            }
            let (page, last) = source.page(after.as_ref(), PART_BYTES);
            self.position = match page.upserts.last() {
                Some((key, _)) if !last => Position::Full {
                    after: Some(key.clone()),
                },
                _ => Position::CatchUp,
            };
            let ends = last && self.since == source.revision();
            return self.frame(&page, ends, source).map(Some);
        }
        if self.since == source.revision() && !self.due && !self.open {
            return Ok(None);
        }
        let (page, reached) = source.since(self.since, PART_BYTES);
        self.since = reached;
        self.frame(&page, reached == source.revision(), source)
            .map(Some)
    }

    fn frame(
        &mut self,
        page: &super::Changes,
        ends: bool,
        source: &Source,
    ) -> Result<Frame, FrameError> {
        let (changes, size) = pack(page)?;
        let full = !matches!(self.position, Position::Delta);
        let phase = match (full, ends) {
            (true, false) => Phase::FullPart,
            (true, true) => Phase::FullEnd,
            (false, false) => Phase::DeltaPart,
            (false, true) => Phase::DeltaEnd,
        };
        self.open = !ends;
        if ends {
            self.position = Position::Delta;
            self.due = false;
        }
        self.sequence += 1;
        let digest = ends.then(|| source.digest());
        self.unacked.push_back((self.sequence, digest));
        Ok(Frame {
            epoch: self.epoch,
            sequence: self.sequence,
            phase: phase.into(),
            changes,
            size,
            digest: digest.map(Digest::to_bytes).unwrap_or_default(),
        })
    }

    /// Takes an acknowledgement; all frames up to it are acknowledged. `false`: it is none of this epoch's, and changes nothing.
    pub fn acked(&mut self, ack: &Ack) -> bool {
        let known = ack.epoch == self.epoch
            && self
                .unacked
                .iter()
                .any(|(sequence, _)| *sequence == ack.sequence);
        if !known {
            return false;
        }
        while let Some((sequence, digest)) = self.unacked.pop_front() {
            self.synced |= digest.is_some_and(|digest| digest.to_bytes() == ack.digest);
            if sequence == ack.sequence {
                break;
            }
        }
        true
    }
}
