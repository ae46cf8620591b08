//! Flows as lines in files, for who collects logs: upstream's `hubble-export-file-path`.
//!
//! What it costs is bounded on every side: the files by size and number, memory by the ring it reads, and nobody waits for it. When the
//! disk is full or slow the ring goes on without it, and what it missed is counted.

mod files;
mod line;

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use futures::FutureExt;

use crate::{
    filter::Filters,
    mask::Mask,
    observer::{
        Observer,
        request::{Item, Range, Reader, Wanted},
    },
    proto::flow::LostEventSource,
    server::{now, observe::flow_answer},
};

use files::Files;
pub use files::{FileError, Settings};
pub use line::LineError;

/// Written together at most; about 400 KiB.
const BATCH: usize = 256;

/// Why flows are lost.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("writing flows panicked")]
    Panicked,
}

/// What became of the flows of a node since its agent started.
#[derive(Debug, Default)]
pub struct Counts {
    written: AtomicU64,
    /// The ring went over them before they were read.
    missed: AtomicU64,
    /// By the disk.
    refused: AtomicU64,
}

impl Counts {
    /// How many, by outcome, in words for metrics.
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("written", read(&self.written)),
            ("missed", read(&self.missed)),
            ("refused", read(&self.refused)),
        ]
    }
}

/// Follows an observer and writes what it has.
#[derive(Debug)]
pub struct Exporter {
    observer: Arc<Observer>,
    reader: Reader,
    files: Arc<Mutex<Files>>,
}

impl Exporter {
    /// Begins with the next flow. From then on the observer has [`Counts`].
    pub fn new(observer: Arc<Observer>, settings: Settings) -> Self {
        let follow = Range {
            follow: true,
            ..Range::default()
        };
        let _begun = observer.count_exported();
        let wanted = Wanted::Flows(Filters::default());
        Self {
            reader: Reader::new(Arc::clone(&observer), wanted, follow),
            observer,
            files: Arc::new(Mutex::new(Files::new(settings))),
        }
    }

    /// Writes what there is, or waits for it. After an error the next flows are tried all the same.
    pub async fn step(&mut self) -> Result<(), ExportError> {
        let items = self.batch().await;
        let flows = items.iter().filter(|item| matches!(item, Item::Entry(_)));
        let flows = flows.count() as u64;
        let (observer, files) = (Arc::clone(&self.observer), Arc::clone(&self.files));
        // A disk may take its time.
        let work = tokio::task::spawn_blocking(move || write(&observer, &files, items));
        let written = work.await.unwrap_or(Err(ExportError::Panicked));
        let counts = self.observer.count_exported();
        let counter = match written {
            Ok(()) => &counts.written,
            Err(_) => &counts.refused,
        };
        counter.fetch_add(flows, Ordering::Relaxed);
        written
    }

    async fn batch(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        // Following has no end.
        items.extend(self.reader.next(now).await);
        while items.len() < BATCH
            && let Some(Some(item)) = self.reader.next(now).now_or_never()
        {
            items.push(item);
        }
        let missed = items.iter().filter_map(missed).sum();
        let counts = self.observer.count_exported();
        counts.missed.fetch_add(missed, Ordering::Relaxed);
        items
    }
}

/// How many the ring went over before they were read.
fn missed(item: &Item) -> Option<u64> {
    match item {
        Item::Lost { event, .. } if event.source() == LostEventSource::HubbleRingBuffer => {
            Some(event.num_events_lost)
        }
        Item::Entry(_) | Item::Lost { .. } => None,
    }
}

fn write(observer: &Observer, files: &Mutex<Files>, items: Vec<Item>) -> Result<(), ExportError> {
    let (mut lines, everything) = (Vec::new(), Mask::default());
    for item in items {
        if let Some(answer) = flow_answer(observer, &everything, item) {
            line::append(&answer, &mut lines)?;
        }
    }
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(files.append(&lines)?)
}

#[cfg(test)]
mod tests;
