//! Holds flows of the past until it is known which of them are the newest.

use std::time::Instant;

use cilium_hubble::proto::observer::GetFlowsResponse;

use crate::{
    budget::{Full, Share},
    last::Last,
    request,
};

/// The newest flows of the past.
#[derive(Debug)]
pub(super) struct Tail {
    last: Last<GetFlowsResponse>,
    share: Share,
    /// When the past ends: a time in nanoseconds since 1970, and the moment after which nodes with no past are not waited for.
    end: Option<(i64, Instant)>,
}

impl Tail {
    /// Of nodes that hand over what they have and end.
    pub(super) fn whole(number: u64, share: Share) -> Self {
        Self {
            last: Last::new(number),
            share,
            end: None,
        }
    }

    /// Of what was before `present`. Nothing more of it is waited for after `until`.
    pub(super) fn before(number: u64, present: i64, until: Instant, share: Share) -> Self {
        Self {
            last: Last::new(number),
            share,
            end: Some((present, until)),
        }
    }

    /// Keeps an answer, or gives it back: it is the first that is not of the past.
    pub(super) fn take(
        &mut self,
        answer: GetFlowsResponse,
    ) -> Result<Option<GetFlowsResponse>, Full> {
        let counts = request::counts(&answer);
        let (time, present) = (request::time(&answer), self.end.map(|(present, _)| present));
        if counts && present.is_some_and(|present| time.is_some_and(|time| time >= present)) {
            return Ok(Some(answer));
        }
        self.last.push(counts, answer);
        self.share.reach(self.last.len())?;
        Ok(None)
    }

    /// When the past is over if nothing comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.end.map(|(_, until)| until)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due <= now)
    }

    /// What was kept, oldest first.
    pub(super) fn into_answers(self) -> impl Iterator<Item = GetFlowsResponse> {
        self.last.into_items()
    }
}

#[cfg(test)]
mod tests {
    use cilium_hubble::{
        flow::timestamp,
        proto::{
            flow::LostEvent,
            observer::get_flows_response::ResponseTypes::{Flow, LostEvents},
        },
    };

    use super::*;
    use crate::budget::Budget;

    fn flow(time: i64) -> GetFlowsResponse {
        GetFlowsResponse {
            time: Some(timestamp(time)),
            response_types: Some(Flow(Box::default())),
            ..GetFlowsResponse::default()
        }
    }

    fn times(tail: Tail) -> Vec<i64> {
        tail.into_answers()
            .filter_map(|answer| request::time(&answer))
            .collect()
    }

    #[test]
    fn the_first_flow_of_the_present_is_given_back_and_the_past_is_kept() {
        let share = Budget::new(10).share();
        let mut tail = Tail::before(2, 100, Instant::now(), share);
        for time in [1, 2, 99] {
            assert_eq!(tail.take(flow(time)), Ok(None));
        }
        assert_eq!(tail.take(flow(100)), Ok(Some(flow(100))));
        assert_eq!(times(tail), [2, 99]);
    }

    #[test]
    fn a_loss_says_nothing_about_where_the_past_ends() {
        let share = Budget::new(10).share();
        let mut tail = Tail::before(1, 100, Instant::now(), share);
        let lost = GetFlowsResponse {
            response_types: Some(LostEvents(LostEvent::default())),
            ..flow(200)
        };
        assert_eq!(tail.take(lost), Ok(None));
        assert_eq!(tail.take(flow(1)), Ok(None));
        assert_eq!(times(tail), [200, 1]);
    }

    #[test]
    fn of_nodes_that_end_everything_is_past() {
        let mut tail = Tail::whole(1, Budget::new(10).share());
        assert_eq!(tail.take(flow(i64::MAX)), Ok(None));
        assert_eq!((tail.due(), tail.is_due(Instant::now())), (None, false));
    }
}
