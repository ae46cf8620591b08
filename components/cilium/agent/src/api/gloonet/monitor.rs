//! `/v1/gloonet/monitor`: events as they come. A reader that is too slow loses events and is told how many; nobody waits
//! for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use cilium_cni::model::event::{Event, Kind, Line, Way};
use cilium_hubble::event::point_name;
use datapath::{Direction, EventKind};
use futures::Stream;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{lines, push_line};
use crate::agent::{Agent, blocking};
use crate::events::Clock;
use crate::policy::Policies;

/// Events that go out together when many wait.
const AT_A_TIME: usize = 256;

pub async fn follow(State(agent): State<Arc<Agent>>) -> Response {
    let events = agent.events.subscribe();
    lines(stream(events, Naming::new(agent)))
}

/// What has come since the last look.
#[derive(Debug, Default)]
struct Batch {
    events: Vec<Arc<datapath::Event>>,
    lost: u64,
}

/// Ends when nobody can send any more.
fn stream(events: Receiver<Arc<datapath::Event>>, naming: Naming) -> impl Stream<Item = Vec<u8>> {
    futures::stream::unfold((events, naming), |(mut events, mut naming)| async move {
        let batch = next(&mut events).await?;
        // Names come from behind locks that a pass over all policies may hold for a while.
        let work = move || (naming.write(&batch), naming);
        let (text, naming) = blocking(work).await?;
        Some((text, (events, naming)))
    })
}

async fn next(events: &mut Receiver<Arc<datapath::Event>>) -> Option<Batch> {
    let mut batch = Batch::default();
    match events.recv().await {
        Ok(event) => batch.events.push(event),
        Err(RecvError::Lagged(lost)) => batch.lost = lost,
        Err(RecvError::Closed) => return None,
    }
    // Losses are told first, so a batch ends where they begin.
    while batch.events.len() < AT_A_TIME {
        match events.try_recv() {
            Ok(event) => batch.events.push(event),
            Err(TryRecvError::Lagged(lost)) if batch.events.is_empty() => batch.lost += lost,
            Err(TryRecvError::Lagged(_) | TryRecvError::Empty | TryRecvError::Closed) => break,
        }
    }
    Some(batch)
}

/// Names for the numbers of events, remembered while one reader reads.
struct Naming {
    agent: Arc<Agent>,
    clock: Clock,
    interfaces: BTreeMap<u32, String>,
}

impl Naming {
    fn new(agent: Arc<Agent>) -> Self {
        Self {
            agent,
            clock: Clock::read(),
            interfaces: BTreeMap::new(),
        }
    }

    fn write(&mut self, batch: &Batch) -> Vec<u8> {
        let mut text = Vec::new();
        if batch.lost > 0 {
            push_line(&mut text, &Line::Lost { lost: batch.lost });
        }
        for event in &batch.events {
            let line = Line::Event(Box::new(self.describe(event)));
            push_line(&mut text, &line);
        }
        text
    }

    fn describe(&mut self, event: &datapath::Event) -> Event {
        let (kind, code, text) = describe_kind(event.kind);
        Event {
            kind,
            time: self.clock.time_of(event.time).to_string(),
            code,
            text: text.to_owned(),
            direction: match event.direction {
                Direction::Ingress => Way::Ingress,
                Direction::Egress => Way::Egress,
            },
            endpoint: event.endpoint,
            source_identity: event.source_identity,
            destination_identity: event.destination_identity,
            match_type: event.match_type,
            cookie: event.cookie,
            policies: behind(&self.agent.policies, event.cookie),
            is_reply: event.is_reply,
            is_new: event.is_new,
            ifindex: event.ifindex,
            interface: self.interface(event.ifindex),
            length: event.length,
            packet: hexadecimal(&event.packet),
        }
    }

    /// Only pods' links have a name here that says more than the number.
    fn interface(&mut self, ifindex: u32) -> String {
        if let Some(name) = self.interfaces.get(&ifindex) {
            return name.clone();
        }
        for endpoint in self.agent.endpoints.list() {
            self.interfaces.insert(endpoint.ifindex, endpoint.interface);
        }
        self.interfaces.get(&ifindex).cloned().unwrap_or_default()
    }
}

fn behind(policies: &Policies, cookie: u32) -> Vec<String> {
    if cookie == 0 {
        return Vec::new();
    }
    let policies = policies.behind(cookie);
    policies
        .iter()
        .map(|policy| policy.id.to_string())
        .collect()
}

/// Kind, number and words, as Cilium has them.
fn describe_kind(kind: EventKind) -> (Kind, u8, &'static str) {
    match kind {
        EventKind::Drop { reason } => (Kind::Drop, reason, datapath::reason_name(reason)),
        EventKind::Trace { point } => (Kind::Trace, point, point_name(point).unwrap_or("unknown")),
        EventKind::PolicyVerdict { denied: None } => (Kind::PolicyVerdict, 0, "allowed"),
        EventKind::PolicyVerdict {
            denied: Some(reason),
        } => (Kind::PolicyVerdict, reason, datapath::reason_name(reason)),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::broadcast;

    use super::*;

    fn event(endpoint: u16) -> Arc<datapath::Event> {
        Arc::new(datapath::Event {
            kind: EventKind::Drop { reason: 133 },
            time: Duration::ZERO,
            direction: Direction::Ingress,
            endpoint,
            source_identity: 300,
            destination_identity: 301,
            cookie: 0,
            match_type: 0,
            is_reply: false,
            is_new: true,
            ifindex: 7,
            length: 60,
            packet: Vec::new(),
        })
    }

    fn shape(batch: Option<Batch>) -> (u64, Vec<u16>) {
        let batch = batch.unwrap();
        let endpoints = batch.events.iter().map(|event| event.endpoint).collect();
        (batch.lost, endpoints)
    }

    #[tokio::test]
    async fn a_reader_that_is_too_slow_is_told_how_many_it_lost_and_goes_on() {
        let (sender, mut events) = broadcast::channel(2);
        for endpoint in 1..=5 {
            sender.send(event(endpoint)).unwrap();
        }
        assert_eq!(shape(next(&mut events).await), (3, vec![4, 5]));
        sender.send(event(6)).unwrap();
        assert_eq!(shape(next(&mut events).await), (0, vec![6]));
        drop(sender);
        assert!(next(&mut events).await.is_none());
    }

    #[tokio::test]
    async fn what_waits_goes_out_together() {
        let (sender, mut events) = broadcast::channel(1024);
        for endpoint in 0..300 {
            sender.send(event(endpoint)).unwrap();
        }
        assert_eq!(shape(next(&mut events).await).1.len(), AT_A_TIME);
        assert_eq!(shape(next(&mut events).await).1.len(), 300 - AT_A_TIME);
    }

    #[test]
    fn words_are_ciliums() {
        let words = |kind| describe_kind(kind).2;
        assert_eq!(words(EventKind::Drop { reason: 133 }), "Policy denied");
        assert_eq!(words(EventKind::Trace { point: 4 }), "to-overlay");
        assert_eq!(words(EventKind::Trace { point: 11 }), "to-network");
        assert_eq!(words(EventKind::Trace { point: 14 }), "unknown");
        assert_eq!(hexadecimal(&[0, 0xab]), "00ab");
    }
}
