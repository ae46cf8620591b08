//! Which nodes a stream reads, and when it asks one again.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use backon::ExponentialBackoff;
use cilium_hubble::proto::{observer::GetFlowsRequest, relay::NodeState};
use futures::stream::{AbortHandle, AbortRegistration};
use tonic::{Code, Status, transport::Channel};

use super::place::Place;
use crate::{
    dial::pauses,
    merge::Source,
    pool::{Node, Nodes, State},
    request::Ask,
    statuses::Statuses,
};

/// A node that is to be asked.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) source: Source,
    pub(super) channel: Channel,
    pub(super) request: GetFlowsRequest,
    pub(super) abort: AbortRegistration,
}

#[derive(Debug)]
struct Member {
    place: Place,
    /// The time of its newest flow, in nanoseconds since 1970.
    last: Option<i64>,
    /// Whether its stream failed and has given nothing since.
    troubled: bool,
    pauses: ExponentialBackoff,
}

impl Member {
    fn new(place: Place) -> Self {
        Self {
            place,
            last: None,
            troubled: false,
            pauses: pauses(),
        }
    }
}

/// The nodes of one stream.
#[derive(Debug)]
pub(super) struct Members {
    ask: Ask,
    /// When the stream began, in nanoseconds since 1970.
    start: i64,
    number: u64,
    by_name: BTreeMap<Arc<str>, Member>,
    /// Of those that are not asked at the beginning, why.
    away: Vec<(Arc<str>, Arc<str>)>,
}

impl Members {
    /// The nodes that are there at the beginning, and those of them that are asked.
    pub(super) fn first(nodes: &Nodes, ask: &Ask, start: i64) -> (Self, Vec<Join>) {
        let mut members = Self {
            ask: ask.clone(),
            start,
            number: 0,
            by_name: BTreeMap::new(),
            away: Vec::new(),
        };
        let mut joins = Vec::new();
        for (name, node) in nodes {
            if let Some(channel) = node.channel() {
                joins.push(members.join(name, node, channel, ask.of_node()));
            } else {
                members.stays_away(name, node.version);
                let reason = match &node.state {
                    State::Unavailable(reason) => reason.clone(),
                    State::Connecting | State::Connected(_) => "it is being connected to".into(),
                };
                members.away.push((name.clone(), reason));
            }
        }
        (members, joins)
    }

    /// Says which nodes are asked at the beginning and which are not; one event each, however many those are.
    pub(super) fn introduce(&mut self, statuses: &mut Statuses, now: Instant) {
        let away = std::mem::take(&mut self.away);
        for name in self.by_name.keys() {
            if !away.iter().any(|(other, _)| other == name) {
                statuses.note(name, NodeState::NodeConnected, "", now);
            }
        }
        let reason = match away.as_slice() {
            [] => return,
            [(_, reason)] => reason.to_string(),
            [(name, reason), others @ ..] => {
                format!("{name}: {reason}; and {} more", others.len())
            }
        };
        for (name, _) in &away {
            statuses.note(name, NodeState::NodeUnavailable, &reason, now);
        }
    }

    /// Follows a change of the nodes: whose streams are read no longer, and who is asked.
    pub(super) fn meet(
        &mut self,
        nodes: &Nodes,
        statuses: &mut Statuses,
        now: Instant,
    ) -> (Vec<Source>, Vec<Join>) {
        let mut left = Vec::new();
        let gone = self
            .by_name
            .extract_if(.., |name, _| !nodes.contains_key(name));
        for (name, member) in gone {
            statuses.note(&name, NodeState::NodeGone, "", now);
            left.extend(member.place.leave());
        }
        for (name, node) in nodes {
            match self.by_name.get_mut(name) {
                None => {
                    if let State::Unavailable(reason) = &node.state {
                        statuses.note(name, NodeState::NodeUnavailable, reason, now);
                    }
                    // An older version than any, so that its first connection is another one.
                    self.stays_away(name, u64::MAX);
                }
                Some(member) if member.place.is_elsewhere(node) => {
                    let away = Place::Away {
                        version: u64::MAX,
                        again: None,
                    };
                    left.extend(std::mem::replace(&mut member.place, away).leave());
                }
                Some(_) => {}
            }
        }
        (left, self.again(nodes, statuses, now))
    }

    /// Asks those whose time has come.
    pub(super) fn again(
        &mut self,
        nodes: &Nodes,
        statuses: &mut Statuses,
        now: Instant,
    ) -> Vec<Join> {
        if !self.ask.follows() {
            return Vec::new();
        }
        let mut waiting = Vec::new();
        for (name, member) in &mut self.by_name {
            let Some(node) = nodes
                .get(name)
                .filter(|node| member.place.is_time(node, now))
            else {
                continue;
            };
            let Some(channel) = node.channel() else {
                // Its next connection is another one, and reason enough.
                member.place.forget_time();
                continue;
            };
            let after = member.last.map_or_else(
                || self.ask.since().unwrap_or(self.start),
                |last| last.saturating_add(1),
            );
            waiting.push((name.clone(), node, channel, after));
        }
        let mut joins = Vec::new();
        for (name, node, channel, after) in waiting {
            statuses.note(&name, NodeState::NodeConnected, "", now);
            let request = self.ask.of_late_node(after);
            joins.push(self.join(&name, node, channel, request));
        }
        joins
    }

    /// When somebody is to be asked again.
    pub(super) fn due(&self) -> Option<Instant> {
        let again = |member: &Member| match member.place {
            Place::Away { again, .. } => again,
            Place::Joined { .. } | Place::Done => None,
        };
        self.by_name.values().filter_map(again).min()
    }

    /// The source gave an answer of this time.
    pub(super) fn gave(&mut self, source: &Source, time: Option<i64>) {
        if let Some(member) = self.of(source) {
            member.last = member.last.max(time);
            if std::mem::take(&mut member.troubled) {
                member.pauses = pauses();
            }
        }
    }

    /// The source's stream failed.
    pub(super) fn failed(
        &mut self,
        source: &Source,
        status: &Status,
        statuses: &mut Statuses,
        now: Instant,
    ) {
        let hopeless = [
            Code::InvalidArgument,
            Code::PermissionDenied,
            Code::Unauthenticated,
            Code::Unimplemented,
        ];
        let message = format!("{}: {}", status.code(), status.message());
        let retry = !hopeless.contains(&status.code());
        self.lost(source, &message, retry, statuses, now);
    }

    /// The source's stream ended in order.
    pub(super) fn ended(&mut self, source: &Source, statuses: &mut Statuses, now: Instant) {
        if self.ask.follows() && self.ask.until().is_none() {
            let message = "it ended a stream that was to go on";
            self.lost(source, message, true, statuses, now);
        } else if let Some(member) = self.of(source) {
            member.place = Place::Done;
        }
    }

    /// The source gave nothing for too long.
    pub(super) fn stalled(&mut self, source: &Source, statuses: &mut Statuses, now: Instant) {
        let message = "it is silent; not all of its flows are here";
        self.lost(source, message, false, statuses, now);
    }

    fn lost(
        &mut self,
        source: &Source,
        message: &str,
        retry: bool,
        statuses: &mut Statuses,
        now: Instant,
    ) {
        // Who does not follow asks nobody again, and would wait for a time that has passed.
        let retry = retry && self.ask.follows();
        let Some(member) = self.of(source) else {
            return;
        };
        let version = member.place.version();
        member.troubled = true;
        let pause = member.pauses.next().filter(|_| retry);
        let away = Place::Away {
            version,
            again: pause.map(|pause| now + pause),
        };
        let _ = std::mem::replace(&mut member.place, away).leave();
        statuses.note(&source.node, NodeState::NodeError, message, now);
    }

    /// The member that the source is of, unless it was asked anew since, or is gone.
    fn of(&mut self, source: &Source) -> Option<&mut Member> {
        self.by_name
            .get_mut(&source.node)
            .filter(|member| matches!(&member.place, Place::Joined { source: joined, .. } if joined == source))
    }

    fn stays_away(&mut self, name: &Arc<str>, version: u64) {
        let again = None;
        let member = Member::new(Place::Away { version, again });
        self.by_name.insert(name.clone(), member);
    }

    fn join(
        &mut self,
        name: &Arc<str>,
        node: &Node,
        channel: &Channel,
        request: GetFlowsRequest,
    ) -> Join {
        self.number += 1;
        let source = Source {
            node: name.clone(),
            number: self.number,
        };
        let (handle, abort) = AbortHandle::new_pair();
        let place = Place::Joined {
            source: source.clone(),
            peer: node.peer.clone(),
            version: node.version,
            abort: handle,
        };
        match self.by_name.get_mut(name) {
            Some(member) => member.place = place,
            None => {
                self.by_name.insert(name.clone(), Member::new(place));
            }
        }
        Join {
            source,
            channel: channel.clone(),
            request,
            abort,
        }
    }
}
