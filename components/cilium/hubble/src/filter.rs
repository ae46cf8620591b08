//! Which flows a client wants: its lists of filters, made ready to be asked of each flow.

mod address;
mod label;
mod name;
mod packet;
mod pattern;
mod unserved;
mod verdict;

use crate::proto::flow::{Endpoint, Flow, FlowFilter};

/// A filter nobody can be served with: which field, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    #[error("the filter {field} cannot be served: {reason}")]
    Unserved {
        field: &'static str,
        reason: &'static str,
    },
    #[error("the filter {field} has the value {value:?}, which is no {expected}")]
    Value {
        field: &'static str,
        value: String,
        expected: &'static str,
    },
}

/// One condition on a flow.
type Condition = Box<dyn Fn(&Flow) -> bool + Send + Sync>;

/// The allow and deny lists of a request. By default everything is wanted.
#[derive(Default)]
pub struct Filters {
    allow: Vec<Vec<Condition>>,
    deny: Vec<Vec<Condition>>,
}

impl Filters {
    /// Makes the lists of a request ready. One bad filter refuses the request.
    pub fn compile(allow: &[FlowFilter], deny: &[FlowFilter]) -> Result<Self, FilterError> {
        let list = |filters: &[FlowFilter]| {
            filters
                .iter()
                .map(conditions)
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            allow: list(allow)?,
            deny: list(deny)?,
        })
    }

    /// Whether there is nothing to ask.
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// All conditions of one filter hold, one filter of the list is enough, and the deny list wins.
    pub fn matches(&self, flow: &Flow) -> bool {
        let any = |list: &[Vec<Condition>]| {
            list.iter()
                .any(|filter| filter.iter().all(|condition| condition(flow)))
        };
        (self.allow.is_empty() || any(&self.allow)) && !any(&self.deny)
    }
}

impl std::fmt::Debug for Filters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Filters({} allow, {} deny)",
            self.allow.len(),
            self.deny.len()
        )
    }
}

fn conditions(filter: &FlowFilter) -> Result<Vec<Condition>, FilterError> {
    unserved::check(filter)?;
    let mut conditions = Vec::new();
    address::add(filter, &mut conditions)?;
    name::add(filter, &mut conditions)?;
    label::add(filter, &mut conditions)?;
    packet::add(filter, &mut conditions)?;
    pattern::add(filter, &mut conditions)?;
    verdict::add(filter, &mut conditions);
    Ok(conditions)
}

/// The two ends of a flow; a filter is about one of them.
#[derive(Clone, Copy, Debug)]
enum End {
    Source,
    Destination,
}

impl End {
    fn endpoint(self, flow: &Flow) -> Option<&Endpoint> {
        match self {
            End::Source => flow.source.as_ref(),
            End::Destination => flow.destination.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
