//! A TLS proxy in the API server's place, which does to requests what it is ordered to and passes on all others.
//!
//! Who a client is by certificate is passed on as the API server's front proxy does it (`X-Remote-User`); bearer tokens pass
//! through as they are.

mod answer;
mod identity;
mod serve;
mod upstream;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::enter::{enter_network, report};
use super::{Error, namespace};
use crate::faults::{Effect, Orders, Request, Tally};

/// How soon changed orders are noticed.
const NOTICE: Duration = Duration::from_millis(50);

/// The proxy before one API server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultProxy {
    /// The control-plane node's namespace.
    pub network: PathBuf,
    /// Where clients expect the API server.
    pub listen: SocketAddrV4,
    /// Where it is.
    pub upstream: SocketAddrV4,
    /// Folder of the cluster's certificates.
    pub pki: PathBuf,
    /// File with the orders, as JSON; watched.
    pub orders: PathBuf,
    /// File the tally is written to.
    pub tally: PathBuf,
}

/// What all connections share.
#[derive(Debug)]
struct Desk {
    spec: FaultProxy,
    orders: watch::Receiver<Orders>,
    tally: Mutex<Tally>,
}

impl Desk {
    fn decide(&self, request: &Request<'_>) -> Option<Effect> {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        tally.decide(&self.orders.borrow(), request)
    }

    fn tally(&self) -> Tally {
        self.tally
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Prints `ready` when it listens, then serves for ever.
pub(super) fn run(spec: &FaultProxy) -> Result<ExitCode, Error> {
    nix::unistd::setsid().map_err(namespace("start a session"))?;
    enter_network(&spec.network)?;
    let failed = |source| Error::Door {
        port: spec.listen.port(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    runtime.block_on(async {
        let (sender, orders) = watch::channel(read_orders(spec).unwrap_or_default());
        let desk = Arc::new(Desk {
            spec: spec.clone(),
            orders,
            tally: Mutex::default(),
        });
        let credentials = Arc::new(identity::Credentials::load(&spec.pki)?);
        let listener = TcpListener::bind(spec.listen).await.map_err(failed)?;
        report("ready")?;
        tokio::spawn(follow(Arc::clone(&desk), sender));
        loop {
            if let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve::connection(
                    client,
                    Arc::clone(&desk),
                    Arc::clone(&credentials),
                ));
            } else {
                tokio::time::sleep(NOTICE).await;
            }
        }
    })
}

/// Reads the orders whenever their file changes, and writes down the tally whenever that does.
async fn follow(desk: Arc<Desk>, orders: watch::Sender<Orders>) {
    let mut seen: Option<SystemTime> = None;
    let mut told = Tally::default();
    loop {
        let changed = std::fs::metadata(&desk.spec.orders)
            .and_then(|m| m.modified())
            .ok();
        if changed != seen
            && let Some(new) = read_orders(&desk.spec)
        {
            seen = changed;
            orders.send_replace(new);
        }
        let tally = desk.tally();
        if tally != told
            && let Ok(text) = serde_json::to_string(&tally)
            && crate::disk::write(&desk.spec.tally, &text).is_ok()
        {
            told = tally;
        }
        tokio::time::sleep(NOTICE).await;
    }
}

/// Orders that cannot be read change nothing: the file is replaced in one step, so they are a person's typing error.
fn read_orders(spec: &FaultProxy) -> Option<Orders> {
    let text = std::fs::read_to_string(&spec.orders).ok()?;
    match serde_json::from_str(&text) {
        Ok(orders) => Some(orders),
        Err(error) => {
            eprintln!("{}: {error}", spec.orders.display());
            None
        }
    }
}
