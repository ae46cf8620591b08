//! From a change in the API to the first datagrams that meet it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::node::Place;
use super::peer::watch::Flip;
use crate::lab::Lab;

/// A verdict that has not come by then is a failure, not a figure. With ten thousand Services kube-proxy's first pass takes its time.
const LIMIT: Duration = Duration::from_mins(1);
/// What came must stay; and the agents shall be at rest again before the next write.
const SETTLE: Duration = Duration::from_millis(250);

/// The client, and what it said last of each target.
#[derive(Debug)]
pub struct Watcher {
    child: Child,
    said: Receiver<Flip>,
    known: BTreeMap<Ipv4Addr, Flip>,
    targets: usize,
}

impl Watcher {
    /// Asks the targets' port from a place, in one flow each.
    pub fn start(lab: &Lab, from: &Place, port: u16, targets: &[Ipv4Addr]) -> Result<Self> {
        Self::with(&[], lab, from, (port, targets))
    }

    /// As above, with a new flow for each datagram.
    pub fn of_new_flows(lab: &Lab, from: &Place, port: u16, targets: &[Ipv4Addr]) -> Result<Self> {
        Self::with(&["--fresh"], lab, from, (port, targets))
    }

    fn with(
        more: &[&str],
        lab: &Lab,
        from: &Place,
        (port, targets): (u16, &[Ipv4Addr]),
    ) -> Result<Self> {
        let port = port.to_string();
        let addresses: Vec<String> = targets.iter().map(ToString::to_string).collect();
        let mut arguments = vec!["--port", &port];
        arguments.extend(more);
        for address in &addresses {
            arguments.extend(["--watch", address]);
        }
        let mut child = from
            .peer(lab, &arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the client")?;
        let output = child.stdout.take().context("the client's output")?;
        let (sender, said) = channel();
        thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for flip in lines.filter_map(|line| serde_json::from_str(&line).ok()) {
                if sender.send(flip).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            said,
            known: BTreeMap::new(),
            targets: targets.len(),
        })
    }

    /// When the last target came to the verdict, all of them staying with it for a while.
    pub fn wait(&mut self, passes: bool) -> Result<u64> {
        let began = Instant::now();
        loop {
            match self.said.recv_timeout(SETTLE) {
                Ok(flip) => drop(self.known.insert(flip.to, flip)),
                Err(RecvTimeoutError::Timeout) if self.all(passes) => {
                    let last = self.known.values().map(|flip| flip.at_us).max();
                    return last.context("no target");
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the client ended"),
            }
            if began.elapsed() > LIMIT {
                let word = if passes { "open" } else { "closed" };
                bail!(
                    "not every node was {word} after {LIMIT:?}: {:?}",
                    self.known
                );
            }
        }
    }

    fn all(&self, passes: bool) -> bool {
        self.known.len() == self.targets && self.known.values().all(|flip| flip.passes == passes)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

/// Of microseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "seconds in microseconds are far below 2^52"
)]
pub fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}
