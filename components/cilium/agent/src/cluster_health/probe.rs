//! Asks a node at its addresses, in both ways.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Once;
use std::time::Duration;

use jiff::Timestamp;

use super::echo;
use super::hello::hello;
use super::paths::{Findings, Outcome, Probed, Target};

/// For one question: TCP repeats a lost opening after one second and after three.
const LIMIT: Duration = Duration::from_secs(5);

/// All addresses and both ways at once, so it ends within [`LIMIT`].
pub async fn probe(target: &Target, port: u16) -> Findings {
    let endpoint = async {
        match target.endpoint {
            Some(ip) => Some(probe_address(ip, port).await),
            None => None,
        }
    };
    let (host, endpoint) = tokio::join!(probe_address(target.host, port), endpoint);
    Findings { host, endpoint }
}

/// Whether a Service leads to an agent that answers. Which of them it is differs from time to time.
pub async fn probe_service(ip: Ipv4Addr, port: u16) -> Result<Duration, String> {
    hello(SocketAddrV4::new(ip, port), LIMIT).await
}

async fn probe_address(ip: Ipv4Addr, port: u16) -> Probed {
    let (icmp, http) = tokio::join!(ping(ip), hello(SocketAddrV4::new(ip, port), LIMIT));
    Probed {
        icmp: icmp.map(outcome),
        http: outcome(http),
    }
}

fn outcome(result: Result<Duration, String>) -> Outcome {
    Outcome {
        at: Timestamp::now(),
        result,
    }
}

/// `None`: this agent may not open the socket for it, which says nothing of the way.
async fn ping(ip: Ipv4Addr) -> Option<Result<Duration, String>> {
    static TOLD: Once = Once::new();
    match echo::open(ip) {
        Ok(socket) => Some(echo::echo(&socket, RandomState::new().hash_one(ip), LIMIT).await),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            TOLD.call_once(|| {
                tracing::warn!(%error, "Nodes are not probed with ICMP echo: the agent lacks the capability NET_RAW");
            });
            None
        }
        Err(error) => Some(Err(format!("cannot send echo requests: {error}"))),
    }
}
