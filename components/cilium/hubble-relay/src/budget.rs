//! How many flows all streams together may keep back.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// There is room for no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the relay holds as many flows as it may for those who ask for the last ones; ask for fewer, or for a time with --since"
)]
pub struct Full;

/// Room for flows, shared by all streams.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Semaphore>);

impl Budget {
    pub fn new(flows: usize) -> Self {
        Self(Arc::new(Semaphore::new(flows)))
    }

    /// How many more flows have room.
    pub fn free(&self) -> usize {
        self.0.available_permits()
    }

    /// A part of it, none yet.
    pub fn share(&self) -> Share {
        Share {
            room: Arc::clone(&self.0),
            taken: None,
        }
    }
}

/// What one stream has of the budget. Given back when dropped.
#[derive(Debug)]
pub struct Share {
    room: Arc<Semaphore>,
    taken: Option<OwnedSemaphorePermit>,
}

impl Share {
    /// Takes what is missing to `flows`. What is more than that is kept.
    pub fn reach(&mut self, flows: usize) -> Result<(), Full> {
        let has = self
            .taken
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(flows.saturating_sub(has)).map_err(|_| Full)?;
        let permit = Arc::clone(&self.room)
            .try_acquire_many_owned(more)
            .map_err(|_| Full)?;
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            None => self.taken = Some(permit),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_share_the_room_and_give_it_back() {
        let budget = Budget::new(5);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert_eq!(one.reach(3), Ok(()));
        assert_eq!(one.reach(2), Ok(()), "it has that");
        assert_eq!(other.reach(3), Err(Full));
        drop(one);
        assert_eq!(other.reach(3), Ok(()));
        assert_eq!(budget.free(), 2);
    }
}
