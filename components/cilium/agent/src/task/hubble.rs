//! Events become flows that clients of Hubble read.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cilium_hubble::event::{Direction, Kind, Lost, LostAt, Packet, PacketEvent};
use cilium_hubble::export::Exporter;
use cilium_hubble::names::Node;
use cilium_hubble::observer::{Observer, Writer};
use cilium_hubble::server::Server;
use cilium_hubble::tls::server::ServerFiles;
use datapath::EventKind;
use jiff::Timestamp;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch::Sender;
use tokio::time::MissedTickBehavior;

use crate::agent::{Agent, blocking};
use crate::bell::Bell;
use crate::directory::Directory;
use crate::events::Clock;
use crate::task::{REPAIR, RETRY};

/// How often it is asked what the kernel had no room for.
const LOSSES: Duration = Duration::from_secs(1);

/// How often it is asked which pods are gone. Series outlive them by a minute.
const SWEEP: Duration = Duration::from_secs(5);

/// Names are made anew as a whole, so not with every change of a busy cluster.
const REST: Duration = Duration::from_millis(100);

/// Names and nodes follow the cluster.
pub async fn names(
    agent: Arc<Agent>,
    directory: Arc<Directory>,
    peers: Sender<Vec<Node>>,
    bell: Bell,
) {
    loop {
        let worker = directory.clone();
        blocking(move || worker.refresh()).await;
        peers.send_if_modified(|known| {
            let now = nodes(&agent);
            let changed = *known != now;
            *known = now;
            changed
        });
        tokio::time::sleep(REST).await;
        bell.wait(REPAIR).await;
    }
}

/// Counts of pods that are gone go after them.
pub async fn forget(directory: Arc<Directory>, observer: Arc<Observer>) {
    let mut look = tokio::time::interval(SWEEP);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let (directory, observer) = (directory.clone(), observer.clone());
        let sweep = move || {
            let pods = directory.pods();
            let metrics = observer.metrics();
            metrics.forget(Instant::now(), |pod| pods.contains(pod));
        };
        blocking(sweep).await;
    }
}

/// Flows go to a file; what keeps them from it is told, and costs those of that moment.
pub async fn export(agent: Arc<Agent>, mut exporter: Exporter) {
    loop {
        let problem = exporter.step().await.err();
        agent.report(
            "hubble-export",
            problem.map(|error| cilium_cni::error::chain(&error)),
        );
    }
}

/// This node and the others, as clients find them.
fn nodes(agent: &Agent) -> Vec<Node> {
    let listed = agent.watched.nodes.list();
    let nodes = listed.iter().map(|node| Node {
        cluster: agent.own.cluster.clone(),
        name: node.metadata.name.clone().unwrap_or_default(),
        address: node.internal_ipv4().map(Into::into),
    });
    nodes.collect()
}

/// Serves on one of the two ways for ever; what keeps it from it is tried again.
pub async fn serve(agent: Arc<Agent>, server: Server, on: Listen) {
    let part = match &on {
        Listen::Socket(_) => "hubble-socket",
        Listen::Port(..) => "hubble-port",
    };
    loop {
        let work = async {
            match &on {
                Listen::Socket(path) => server.serve_unix(path).await,
                Listen::Port(address, files) => {
                    server.serve_tcp(*address, Some(files.clone())).await
                }
            }
        };
        let settle = async {
            tokio::time::sleep(RETRY).await;
            agent.report(part, None);
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = work => ended,
            () = settle => continue,
        };
        let failure = ended.map_or_else(
            |error| cilium_cni::error::chain(&error),
            |()| "the Hubble server ended".to_owned(),
        );
        agent.report(part, Some(failure));
        tokio::time::sleep(RETRY).await;
    }
}

/// Where flows are served.
#[derive(Clone, Debug)]
pub enum Listen {
    /// For root of the node.
    Socket(PathBuf),
    /// For clients with a certificate.
    Port(SocketAddr, ServerFiles),
}

/// Every event is recorded; what could not be is told of.
pub async fn record(
    agent: Arc<Agent>,
    mut events: Receiver<Arc<datapath::Event>>,
    mut writer: Writer,
) {
    let mut clock = Clock::read();
    let mut lost_before = lost(&agent).await.unwrap_or_default();
    let mut look = tokio::time::interval(LOSSES);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Ok(event) => writer.packet(packet(&event, &clock)),
                Err(RecvError::Lagged(count)) => writer.lost(loss(count, LostAt::Queue)),
                Err(RecvError::Closed) => return,
            },
            _ = look.tick() => {
                // A clock that was set is followed from here on.
                clock = Clock::read();
                if let Some(now) = lost(&agent).await {
                    if now > lost_before {
                        writer.lost(loss(now - lost_before, LostAt::KernelBuffer));
                    }
                    lost_before = now;
                }
            }
        }
    }
}

async fn lost(agent: &Arc<Agent>) -> Option<u64> {
    let worker = agent.clone();
    blocking(move || worker.datapath.lost_events().ok()).await?
}

fn loss(count: u64, place: LostAt) -> Lost {
    Lost {
        time: nanoseconds(Timestamp::now()),
        count,
        cpu: None,
        place,
    }
}

fn packet(event: &datapath::Event, clock: &Clock) -> PacketEvent {
    PacketEvent {
        time: nanoseconds(clock.time_of(event.time)),
        kind: kind(event),
        direction: match event.direction {
            datapath::Direction::Ingress => Direction::Ingress,
            datapath::Direction::Egress => Direction::Egress,
        },
        endpoint_id: event.endpoint,
        source_identity: event.source_identity,
        destination_identity: event.destination_identity,
        cookie: event.cookie,
        is_reply: replies(event),
        ifindex: event.ifindex,
        length: event.length,
        packet: Packet::new(&event.packet),
    }
}

fn kind(event: &datapath::Event) -> Kind {
    match event.kind {
        EventKind::Drop { reason } => Kind::Drop { reason },
        EventKind::Trace { point } => Kind::Trace { point },
        EventKind::PolicyVerdict { denied } => Kind::PolicyVerdict {
            verdict: denied.map_or(0, |reason| -i32::from(reason)),
            match_type: event.match_type,
        },
    }
}

/// A dropped packet may never have been looked up.
fn replies(event: &datapath::Event) -> Option<bool> {
    match event.kind {
        EventKind::Drop { .. } if !event.is_reply => None,
        _ => Some(event.is_reply),
    }
}

/// Nanoseconds since 1970, up to the year 2262.
fn nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: EventKind) -> datapath::Event {
        datapath::Event {
            kind,
            time: Duration::ZERO,
            direction: datapath::Direction::Egress,
            endpoint: 7,
            source_identity: 300,
            destination_identity: 2,
            cookie: 5,
            match_type: 1,
            is_reply: false,
            is_new: true,
            ifindex: 9,
            length: 60,
            packet: vec![1; 60],
        }
    }

    #[test]
    fn a_refusal_is_the_reason_negated_and_an_allowance_zero() {
        let verdict = |denied| kind(&event(EventKind::PolicyVerdict { denied }));
        let told = |verdict| Kind::PolicyVerdict {
            verdict,
            match_type: 1,
        };
        assert_eq!(verdict(None), told(0));
        assert_eq!(verdict(Some(133)), told(-133));
    }

    #[test]
    fn of_a_dropped_packet_it_is_not_known_whether_it_answers_another() {
        assert_eq!(replies(&event(EventKind::Drop { reason: 133 })), None);
        assert_eq!(replies(&event(EventKind::Trace { point: 0 })), Some(false));
    }
}
