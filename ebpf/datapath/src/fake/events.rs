use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::{Error, Event, EventSource};

/// Events on their way from a test to a reader.
#[derive(Debug, Default)]
pub(super) struct Events {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    events: VecDeque<Event>,
    read: bool,
}

impl Events {
    /// Like the programs: without a reader there are no events.
    pub(super) fn push(&self, event: Event) {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.read {
            queue.events.push_back(event);
            self.more.notify_one();
        }
    }

    pub(super) fn reader(self: &Arc<Self>) -> Result<Box<dyn EventSource>, Error> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.read {
            return Err(Error::EventsTaken);
        }
        queue.read = true;
        Ok(Box::new(Reader(Arc::clone(self))))
    }
}

struct Reader(Arc<Events>);

impl EventSource for Reader {
    fn next(&mut self, wait: Duration) -> Result<Vec<Event>, Error> {
        let queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut queue, _) = self
            .0
            .more
            .wait_timeout_while(queue, wait, |queue| queue.events.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        Ok(queue.events.drain(..).collect())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner);
        *queue = Queue::default();
    }
}
