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
    /// It gave an answer, which is in the merge; of a flow the time.
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
                // A loss is of the place where it stands: its own time is when it was noticed, and older flows follow it.
                let time = request::counts(&answer)
                    .then(|| request::time(&answer))
                    .flatten();
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cilium_hubble::{
        flow::timestamp,
        proto::{flow::LostEvent, observer::get_flows_response::ResponseTypes},
    };
    use proptest::prelude::*;

    use super::*;

    fn answer(time: i64, what: ResponseTypes) -> GetFlowsResponse {
        GetFlowsResponse {
            time: Some(timestamp(time)),
            response_types: Some(what),
            ..GetFlowsResponse::default()
        }
    }

    fn flow(time: i64) -> GetFlowsResponse {
        answer(time, ResponseTypes::Flow(Box::default()))
    }

    fn lost(time: i64) -> GetFlowsResponse {
        answer(time, ResponseTypes::LostEvents(LostEvent::default()))
    }

    /// What leaves when each of these is all of a node; of a loss nothing.
    fn sorted(nodes: Vec<Vec<GetFlowsResponse>>) -> Vec<Option<i64>> {
        let (now, wait) = (Instant::now(), Duration::from_secs(1));
        let sorting = Sorting {
            capacity: 100,
            wait,
        };
        let mut inflow = Inflow::new(sorting, i64::MAX);
        let mut events = 0;
        for (number, answers) in (0..).zip(nodes) {
            let node = format!("node-{number}").into();
            events += answers.len() + 1;
            let answers = stream::iter(answers).map(Ok).boxed();
            inflow.open(Source { node, number }, answers, now);
        }
        for _ in 0..events {
            inflow.next().now_or_never().expect("all is there");
        }
        let left = std::iter::from_fn(|| inflow.pop(Instant::now()));
        left.map(|answer| request::time(&answer).filter(|_| request::counts(&answer)))
            .collect()
    }

    #[test]
    fn flows_behind_a_loss_leave_in_their_order() {
        let lossy = vec![lost(9), flow(1), flow(3)];
        let whole = vec![flow(2), flow(4)];
        let expected = [None, Some(1), Some(2), Some(3), Some(4)];
        assert_eq!(sorted(vec![lossy, whole]), expected);
    }

    proptest! {
        #[test]
        fn losses_disturb_no_order(nodes in prop::collection::vec(prop::collection::vec((any::<bool>(), 0i64..20), 0..8), 1..5)) {
            let nodes: Vec<Vec<_>> = nodes.into_iter().map(|events| {
                let mut times: Vec<i64> = events.iter().map(|(_, time)| *time).collect();
                times.sort_unstable();
                let events = events.into_iter().zip(times);
                events.map(|((is_loss, any), next)| if is_loss { lost(any) } else { flow(next) }).collect()
            }).collect();
            let all = nodes.iter().flatten().count();
            let left = sorted(nodes);
            prop_assert_eq!(left.len(), all);
            prop_assert!(left.into_iter().flatten().is_sorted());
        }
    }
}
