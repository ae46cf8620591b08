//! Filters on what became of a packet, and where.

use super::Condition;
use crate::proto::flow::{EventTypeFilter, Flow, FlowFilter, NetworkInterface, Verdict};

pub(super) fn add(filter: &FlowFilter, conditions: &mut Vec<Condition>) {
    one_of(&filter.verdict, conditions, |flow| Some(flow.verdict));
    one_of(&filter.traffic_direction, conditions, |flow| {
        Some(flow.traffic_direction)
    });
    one_of(&filter.drop_reason_desc, conditions, |flow| {
        dropped(flow).then_some(flow.drop_reason_desc)
    });
    one_of(&filter.reply, conditions, reply);
    if !filter.uuid.is_empty() {
        let wanted = filter.uuid.clone();
        conditions.push(Box::new(move |flow| wanted.contains(&flow.uuid)));
    }
    if !filter.event_type.is_empty() {
        let wanted = filter.event_type.clone();
        conditions.push(Box::new(move |flow| {
            wanted.iter().any(|wanted| is_of_type(wanted, flow))
        }));
    }
    if !filter.interface.is_empty() {
        let wanted = filter.interface.clone();
        conditions.push(Box::new(move |flow| {
            flow.interface
                .as_ref()
                .is_some_and(|has| wanted.iter().any(|wanted| is_interface(wanted, has)))
        }));
    }
}

fn one_of<T>(values: &[T], conditions: &mut Vec<Condition>, of: fn(&Flow) -> Option<T>)
where
    T: Clone + PartialEq + Send + Sync + 'static,
{
    if !values.is_empty() {
        let wanted = values.to_vec();
        conditions.push(Box::new(move |flow| {
            of(flow).is_some_and(|has| wanted.contains(&has))
        }));
    }
}

fn dropped(flow: &Flow) -> bool {
    flow.verdict() == Verdict::Dropped
}

/// Of a drop nobody knows whether it was a reply; it counts as none, so that `--not --reply` shows drops.
fn reply(flow: &Flow) -> Option<bool> {
    match flow.is_reply {
        None if dropped(flow) => Some(false),
        is_reply => is_reply,
    }
}

fn is_of_type(wanted: &EventTypeFilter, flow: &Flow) -> bool {
    let Some(has) = flow.event_type else {
        return false;
    };
    (wanted.r#type == 0 || wanted.r#type == has.r#type)
        && (!wanted.match_sub_type || wanted.sub_type == has.sub_type)
}

fn is_interface(wanted: &NetworkInterface, has: &NetworkInterface) -> bool {
    (wanted.index == 0 || wanted.index == has.index)
        && (wanted.name.is_empty() || wanted.name == has.name)
}
