//! What became of a frame.

use crate::frame::ICMP;
use crate::node::{DROPPED, REDIRECTED};

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: i32,
    pub(crate) frame: Vec<u8>,
    /// Reason and direction of what was counted.
    pub(crate) counted: Vec<(u8, u8)>,
    /// How many were counted.
    pub(crate) packets: u64,
}

impl Outcome {
    /// Asserts a drop that was counted under a reason.
    pub(crate) fn dropped(&self, reason: u8, direction: u8) {
        assert_eq!(
            (self.verdict, self.counted.as_slice()),
            (DROPPED, [(reason, direction)].as_slice())
        );
    }

    /// Asserts a drop that was counted under a reason, and told to who sent the frame: back goes ICMP "port unreachable".
    pub(crate) fn refused(&self, asked: &[u8], reason: u8, direction: u8) {
        assert_eq!(
            (self.verdict, self.counted.as_slice()),
            (REDIRECTED, [(reason, direction)].as_slice())
        );
        assert!(self.answers(asked), "{:02x?}", self.frame);
    }

    /// The frame is an ICMP error about the one that was asked with, to its sender.
    pub(crate) fn answers(&self, asked: &[u8]) -> bool {
        let (to, from) = (&self.frame[..6], &self.frame[6..12]);
        let (source, destination) = (&self.frame[26..30], &self.frame[30..34]);
        (to, from) == (&asked[6..12], &asked[..6])
            && (source, destination) == (&asked[30..34], &asked[26..30])
            && (self.frame[23], &self.frame[34..36]) == (ICMP, &[3, 3])
    }
}
