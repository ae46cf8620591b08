//! The streams of all nodes, read as far as there is room.

use std::{collections::BTreeMap, task::Poll, time::Instant};

use cilium_hubble::{
    proto::observer::{GetFlowsRequest, GetFlowsResponse, observer_client::ObserverClient},
    transport::RESPONSE_BYTES,
};
use futures::{
    FutureExt, StreamExt, TryStreamExt,
    future::BoxFuture,
    stream::{self, AbortRegistration, BoxStream, FuturesUnordered},
};
use tonic::{Response, Status, transport::Channel};

use crate::{
    merge::{Merge, Sorting, Source},
    request,
};

pub(super) type Answers = BoxStream<'static, Result<GetFlowsResponse, Status>>;

/// A stream with what came out of it.
struct Read {
    source: Source,
    answers: Answers,
    answer: Option<Result<GetFlowsResponse, Status>>,
}

/// What happened to a source.
#[derive(Debug)]
pub(super) enum Came {
    /// It gave an answer, which is in the merge.
    Answer {
        source: Source,
        time: Option<i64>,
    },
    Failed {
        source: Source,
        status: Status,
    },
    /// It ended in order.
    Ended {
        source: Source,
    },
}

/// What is read, and what has been read and may not leave yet.
pub(super) struct Inflow {
    /// Streams whose next answer is waited for.
    reading: FuturesUnordered<BoxFuture<'static, Read>>,
    /// Streams that are not read on, for want of room. Each of them has an answer in the merge.
    parked: BTreeMap<Source, Answers>,
    merge: Merge<GetFlowsResponse>,
}

impl Inflow {
    pub(super) fn new(sorting: Sorting, present: i64) -> Self {
        Self {
            reading: FuturesUnordered::new(),
            parked: BTreeMap::new(),
            merge: Merge::new(sorting, present),
        }
    }

    pub(super) fn merge(&self) -> &Merge<GetFlowsResponse> {
        &self.merge
    }

    /// Reads one stream more.
    pub(super) fn open(&mut self, source: Source, answers: Answers, now: Instant) {
        self.merge.open(source.clone(), now);
        self.reading.push(read(source, answers));
    }

    /// Waits no longer for a stream. That it is read no longer is seen to by who aborts it.
    pub(super) fn close(&mut self, source: &Source) {
        self.merge.close(source);
        self.parked.remove(source);
    }

    /// Ends all streams.
    pub(super) fn clear(&mut self) {
        self.reading.clear();
        self.parked.clear();
    }

    /// Reads all streams on when there is room.
    pub(super) fn read_on(&mut self) {
        if self.merge.is_roomy() {
            for (source, answers) in std::mem::take(&mut self.parked) {
                self.reading.push(read(source, answers));
            }
        }
    }

    /// What comes next; never when nothing is read. Nothing is lost when it is not waited for to the end.
    pub(super) async fn next(&mut self) -> Came {
        match self.reading.next().await {
            Some(read) => self.take(read, Instant::now()),
            None => std::future::pending().await,
        }
    }

    /// What has come already.
    pub(super) async fn ready(&mut self) -> Option<Came> {
        match futures::poll!(self.reading.next()) {
            Poll::Ready(Some(read)) => Some(self.take(read, Instant::now())),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    /// The next answer that may leave now. Its source, if it has shown no other, is read on: it is waited for.
    pub(super) fn pop(&mut self, now: Instant) -> Option<GetFlowsResponse> {
        let (source, answer) = self.merge.pop(now)?;
        if self.merge.has_room(&source)
            && let Some(answers) = self.parked.remove(&source)
        {
            self.reading.push(read(source, answers));
        }
        Some(answer)
    }

    fn take(&mut self, taken: Read, now: Instant) -> Came {
        let Read {
            source,
            answers,
            answer,
        } = taken;
        match answer {
            Some(Ok(answer)) => {
                let time = request::time(&answer);
                self.merge.push(&source, time, answer, now);
                if self.merge.has_room(&source) {
                    self.reading.push(read(source.clone(), answers));
                } else {
                    self.parked.insert(source.clone(), answers);
                }
                Came::Answer { source, time }
            }
            Some(Err(status)) => {
                self.merge.close(&source);
                Came::Failed { source, status }
            }
            None => {
                self.merge.close(&source);
                Came::Ended { source }
            }
        }
    }
}

fn read(source: Source, mut answers: Answers) -> BoxFuture<'static, Read> {
    async move {
        let answer = answers.next().await;
        Read {
            source,
            answers,
            answer,
        }
    }
    .boxed()
}

/// Asks a node. It may begin to answer with its first flow only, so there is no telling that it was asked from what it answers.
pub(super) fn ask(channel: Channel, request: GetFlowsRequest, abort: AbortRegistration) -> Answers {
    let answer = async move {
        let mut client = ObserverClient::new(channel).max_decoding_message_size(RESPONSE_BYTES);
        client.get_flows(request).await.map(Response::into_inner)
    };
    let answers = stream::once(answer).try_flatten();
    stream::Abortable::new(answers, abort).boxed()
}
