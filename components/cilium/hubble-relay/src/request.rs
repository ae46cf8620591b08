//! What a client asked for, and what nodes are asked because of it. Pure.

use cilium_hubble::{
    filter::Filters,
    flow::timestamp,
    mask::Mask,
    observer::request::Range,
    proto::{
        flow::Flow,
        observer::{GetFlowsRequest, GetFlowsResponse, get_flows_response::ResponseTypes},
    },
};

/// Which part of all nodes' flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All that the nodes have in the range.
    All,
    /// The oldest.
    First(u64),
    /// The newest.
    Last(u64),
    /// What is still to come, after so many of the newest; `None` when nodes themselves know where to begin.
    Follow(Option<u64>),
}

/// A request that can be served.
#[derive(Clone, Debug)]
pub struct Ask {
    pub part: Part,
    request: GetFlowsRequest,
    /// Fields that order needs and the client did not ask for.
    strip: Strip,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Strip {
    time: bool,
    node_name: bool,
}

impl Ask {
    /// Refuses what every node would refuse, in their words.
    pub fn new(mut request: GetFlowsRequest) -> Result<Self, String> {
        let range = Range::of_flows(&request).map_err(|error| error.to_string())?;
        Filters::compile(&request.whitelist, &request.blacklist)
            .map_err(|error| error.to_string())?;
        let paths = request
            .field_mask
            .as_ref()
            .map(|mask| mask.paths.as_slice());
        Mask::new(paths.unwrap_or_default()).map_err(|error| error.to_string())?;
        let strip = widen(&mut request);
        Ok(Self {
            part: part(&range),
            request,
            strip,
        })
    }

    /// What a node is asked at the beginning.
    pub fn of_node(&self) -> GetFlowsRequest {
        self.request.clone()
    }

    /// What a node is asked that joins, or is back, in the middle: all from `after` on, in nanoseconds since 1970.
    pub fn of_late_node(&self, after: i64) -> GetFlowsRequest {
        GetFlowsRequest {
            number: 0,
            first: false,
            since: Some(timestamp(after)),
            ..self.request.clone()
        }
    }

    /// From when a node is asked that was not there at the beginning.
    pub fn since(&self) -> Option<i64> {
        let since = self.request.since.as_ref()?;
        Some(nanos(since.seconds, since.nanos))
    }

    /// Whether there is an end to it.
    pub fn until(&self) -> Option<i64> {
        let until = self.request.until.as_ref()?;
        Some(nanos(until.seconds, until.nanos))
    }

    pub fn follows(&self) -> bool {
        matches!(self.part, Part::Follow(_))
    }

    /// Takes away what only the relay asked for.
    pub fn answer(&self, mut answer: GetFlowsResponse) -> GetFlowsResponse {
        if let Some(ResponseTypes::Flow(flow)) = &mut answer.response_types {
            self.strip.from(flow);
        }
        answer
    }
}

/// When an answer's event was, in nanoseconds since 1970.
pub fn time(answer: &GetFlowsResponse) -> Option<i64> {
    let time = answer.time.as_ref()?;
    Some(nanos(time.seconds, time.nanos))
}

/// Whether it is one of the flows that `number` counts.
pub fn counts(answer: &GetFlowsResponse) -> bool {
    matches!(answer.response_types, Some(ResponseTypes::Flow(_)))
}

fn nanos(seconds: i64, nanos: i32) -> i64 {
    seconds
        .saturating_mul(1_000_000_000)
        .saturating_add(nanos.into())
}

/// A node counts `number` from `since` on when there is one, and else from its newest flow back.
fn part(range: &Range) -> Part {
    let number = (range.number > 0).then_some(range.number);
    match (range.follow, number) {
        (true, number) => Part::Follow(number.filter(|_| range.since.is_none())),
        (false, None) => Part::All,
        (false, Some(number)) if range.first || range.since.is_some() => Part::First(number),
        (false, Some(number)) => Part::Last(number),
    }
}

fn widen(request: &mut GetFlowsRequest) -> Strip {
    let Some(mask) = request
        .field_mask
        .as_mut()
        .filter(|mask| !mask.paths.is_empty())
    else {
        return Strip::default();
    };
    let has = |field: &str| {
        let below = format!("{field}.");
        mask.paths
            .iter()
            .any(|path| path == field || path.starts_with(&below))
    };
    let strip = Strip {
        time: !has("time"),
        node_name: !has("node_name"),
    };
    for (missing, field) in [(strip.time, "time"), (strip.node_name, "node_name")] {
        if missing {
            mask.paths.push(field.to_owned());
        }
    }
    strip
}

impl Strip {
    fn from(self, flow: &mut Flow) {
        if self.time {
            flow.time = None;
        }
        if self.node_name {
            flow.node_name.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use cilium_hubble::proto::flow::FlowFilter;
    use prost_types::FieldMask;

    use super::*;

    fn ask(change: impl FnOnce(&mut GetFlowsRequest)) -> Result<Ask, String> {
        let mut request = GetFlowsRequest::default();
        change(&mut request);
        Ask::new(request)
    }

    #[test]
    fn the_number_is_counted_as_a_node_counts_it() {
        let part = |change: fn(&mut GetFlowsRequest)| ask(change).unwrap().part;
        assert_eq!(part(|_| {}), Part::All);
        assert_eq!(part(|ask| ask.number = 3), Part::Last(3));
        assert_eq!(
            part(|ask| (ask.number, ask.first) = (3, true)),
            Part::First(3)
        );
        let since = |ask: &mut GetFlowsRequest| {
            ask.number = 3;
            ask.since = Some(timestamp(1));
        };
        assert_eq!(part(since), Part::First(3));
        assert_eq!(part(|ask| ask.follow = true), Part::Follow(None));
        assert_eq!(
            part(|ask| (ask.number, ask.follow) = (3, true)),
            Part::Follow(Some(3))
        );
    }

    #[test]
    fn what_every_node_would_refuse_is_refused_before_any_is_asked() {
        let both = ask(|ask| (ask.first, ask.follow) = (true, true)).unwrap_err();
        assert!(both.contains("first"), "{both}");
        let filter = ask(|ask| {
            ask.whitelist.push(FlowFilter {
                source_ip: vec!["no address".to_owned()],
                ..FlowFilter::default()
            });
        });
        assert!(filter.unwrap_err().contains("no address"));
        let mask = ask(|ask| {
            ask.field_mask = Some(FieldMask {
                paths: vec!["no_field".to_owned()],
            });
        });
        assert!(mask.unwrap_err().contains("no_field"));
    }

    #[test]
    fn nodes_are_asked_for_what_order_needs_and_the_client_gets_what_it_asked_for() {
        let mask = FieldMask {
            paths: vec!["verdict".to_owned()],
        };
        let ask = ask(|ask| ask.field_mask = Some(mask)).unwrap();
        assert_eq!(
            ask.of_node().field_mask.unwrap().paths,
            ["verdict", "time", "node_name"]
        );
        let flow = Flow {
            time: Some(timestamp(1)),
            node_name: "east/a".to_owned(),
            verdict: 1,
            ..Flow::default()
        };
        let answer = ask.answer(GetFlowsResponse {
            node_name: "east/a".to_owned(),
            time: flow.time,
            response_types: Some(ResponseTypes::Flow(Box::new(flow))),
        });
        let Some(ResponseTypes::Flow(flow)) = answer.response_types else {
            panic!("a flow");
        };
        assert_eq!(
            (flow.time, flow.node_name.as_str(), flow.verdict),
            (None, "", 1)
        );
        assert_eq!(answer.node_name, "east/a");
    }

    #[test]
    fn a_node_that_comes_late_is_asked_for_all_since_then() {
        let ask = ask(|ask| (ask.number, ask.follow) = (20, true)).unwrap();
        let late = ask.of_late_node(1_500_000_000);
        assert_eq!((late.number, late.follow), (0, true));
        assert_eq!(late.since, Some(timestamp(1_500_000_000)));
    }
}
