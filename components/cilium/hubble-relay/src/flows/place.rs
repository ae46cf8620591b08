//! Where a node stands in a stream.

use std::{sync::Arc, time::Instant};

use futures::stream::AbortHandle;

use crate::{merge::Source, peers::Peer, pool::Node};

/// What became of a node.
#[derive(Debug)]
pub(super) enum Place {
    Joined {
        source: Source,
        peer: Arc<Peer>,
        version: u64,
        abort: AbortHandle,
    },
    /// Asked again when it has another connection than the one of `version`, or at a time.
    Away {
        version: u64,
        again: Option<Instant>,
    },
    /// It gave all it had.
    Done,
}

impl Place {
    /// Ends its stream.
    pub(super) fn leave(self) -> Option<Source> {
        match self {
            Self::Joined { source, abort, .. } => {
                abort.abort();
                Some(source)
            }
            Self::Away { .. } | Self::Done => None,
        }
    }

    /// Whether its stream is of a server that the node no longer has. A lost connection is none: what it still gave is read.
    pub(super) fn is_elsewhere(&self, node: &Node) -> bool {
        matches!(self, Self::Joined { peer, .. } if !Arc::ptr_eq(peer, &node.peer))
    }

    pub(super) fn is_time(&self, node: &Node, now: Instant) -> bool {
        match self {
            Self::Away { version, again } => {
                *version != node.version || again.is_some_and(|again| again <= now)
            }
            Self::Joined { .. } | Self::Done => false,
        }
    }

    pub(super) fn forget_time(&mut self) {
        if let Self::Away { again, .. } = self {
            *again = None;
        }
    }

    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Joined { version, .. } | Self::Away { version, .. } => *version,
            Self::Done => u64::MAX,
        }
    }
}
