//! A client that says when datagrams begin and cease to come back.
//!
//! All to one address are of one flow, so what is seen is a verdict about a connection that exists as much as about a new one; or each is
//! of a flow of its own.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::iter::Cycle;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::ops::RangeInclusive;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const BETWEEN: Duration = Duration::from_millis(1);
/// A datagram that is not back by then is taken for dropped; on a busy machine an echo waits for its turn.
const GONE_AFTER_US: u64 = 30_000;

/// The verdict about one address has changed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Flip {
    /// Whom it is about.
    pub to: Ipv4Addr,
    /// Whether datagrams come back now.
    pub passes: bool,
    /// When the first datagram was sent that met the new verdict, in microseconds since 1970.
    pub at_us: u64,
}

/// What is known of one address.
#[derive(Debug, Default)]
struct Target {
    passes: bool,
    /// When the datagrams were sent that may still come back.
    under_way: VecDeque<u64>,
}

impl Target {
    fn sent(&mut self, now: u64) {
        if self.passes {
            self.under_way.push_back(now);
        }
    }

    /// A datagram is back; whether the verdict changed with it.
    fn back(&mut self, sent: u64) -> bool {
        self.under_way.retain(|other| *other > sent);
        !std::mem::replace(&mut self.passes, true)
    }

    /// When the first one was sent that has been away for too long.
    fn lost(&mut self, now: u64) -> Option<u64> {
        let first = *self.under_way.front()?;
        if now.saturating_sub(first) < GONE_AFTER_US {
            return None;
        }
        self.under_way.clear();
        self.passes = false;
        Some(first)
    }
}

/// Flows on which an answer may still come: more than are opened until a datagram is taken for dropped.
const OPEN_FLOWS: usize = 64;
/// Ports of fresh flows, in turn: one that comes back too soon would be of a flow that the kernel remembers.
const PORTS: RangeInclusive<u16> = 10_000..=29_999;

/// The sockets of flows that may still be answered, the newest last.
#[derive(Debug)]
enum Flows {
    /// One for all datagrams.
    One(UdpSocket),
    /// One for each.
    Fresh {
        sockets: VecDeque<UdpSocket>,
        ports: Cycle<RangeInclusive<u16>>,
    },
}

impl Flows {
    fn new(fresh: bool) -> Result<Self> {
        if !fresh {
            return open(0).map(Self::One).context("open a UDP socket");
        }
        Ok(Self::Fresh {
            sockets: VecDeque::new(),
            ports: PORTS.cycle(),
        })
    }

    /// The socket of the next datagram.
    fn next(&mut self) -> Result<&UdpSocket> {
        let (sockets, ports) = match self {
            Self::One(socket) => return Ok(socket),
            Self::Fresh { sockets, ports } => (sockets, ports),
        };
        if sockets.len() == OPEN_FLOWS {
            sockets.pop_front();
        }
        // Somebody else may have a port.
        let opened = ports.take(PORTS.len()).find_map(|port| open(port).ok());
        sockets.push_back(opened.context("every port is taken")?);
        sockets.back().context("no socket")
    }

    fn all(&self) -> impl Iterator<Item = &UdpSocket> {
        let (one, fresh) = match self {
            Self::One(socket) => (Some(socket), None),
            Self::Fresh { sockets, .. } => (None, Some(sockets)),
        };
        one.into_iter().chain(fresh.into_iter().flatten())
    }
}

fn open(port: u16) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Prints one [`Flip`] a line until the input ends. `fresh`: each datagram has a flow of its own.
pub fn run(to: &[Ipv4Addr], port: u16, fresh: bool) -> Result<()> {
    super::end_with_input();
    let mut flows = Flows::new(fresh)?;
    let mut targets: Vec<(Ipv4Addr, Target)> =
        to.iter().map(|to| (*to, Target::default())).collect();
    loop {
        let now = micros();
        let socket = flows.next()?;
        for (to, target) in &mut targets {
            // What cannot be sent is not answered, which is all that is asked.
            let _unsent = socket.send_to(&now.to_be_bytes(), (*to, port));
            target.sent(now);
        }
        sleep(BETWEEN);
        for socket in flows.all() {
            receive(socket, &mut targets)?;
        }
        let now = micros();
        for (to, target) in &mut targets {
            if let Some(at) = target.lost(now) {
                say(*to, false, at)?;
            }
        }
    }
}

fn receive(socket: &UdpSocket, targets: &mut [(Ipv4Addr, Target)]) -> Result<()> {
    let mut buffer = [0; 8];
    loop {
        let from = match socket.recv_from(&mut buffer) {
            Ok((8, from)) => from.ip(),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            // Not ours; or an ICMP error, which is another way not to be answered.
            Ok(_) | Err(_) => continue,
        };
        let sent = u64::from_be_bytes(buffer);
        let known = targets.iter_mut().find(|(to, _)| IpAddr::V4(*to) == from);
        if let Some((to, target)) = known
            && target.back(sent)
        {
            say(*to, true, sent)?;
        }
    }
}

fn say(to: Ipv4Addr, passes: bool, at_us: u64) -> Result<()> {
    let flip = Flip { to, passes, at_us };
    let line = serde_json::to_string(&flip).context("print a change")?;
    println!("{line}");
    Ok(())
}

/// The wall clock, which all programs of the machine share.
pub fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_opens_and_the_first_datagram_without_one_closes() {
        let mut target = Target::default();
        target.sent(1_000);
        assert!(target.back(1_000));
        target.sent(2_000);
        target.sent(3_000);
        target.sent(4_000);
        assert!(!target.back(2_000));
        assert_eq!(target.lost(20_000), None);
        assert_eq!(target.lost(3_000 + GONE_AFTER_US), Some(3_000));
        assert_eq!(target.lost(90_000), None);
        assert!(target.back(50_000));
    }

    #[test]
    fn a_flow_lasts_or_each_datagram_has_one_of_its_own() {
        for (fresh, differ) in [(false, false), (true, true)] {
            let mut flows = Flows::new(fresh).unwrap();
            let mut port = || flows.next().unwrap().local_addr().unwrap().port();
            let (first, second) = (port(), port());
            assert_eq!(first != second, differ);
        }
    }

    #[test]
    fn one_that_is_overtaken_is_not_lost() {
        let mut target = Target::default();
        target.back(1_000);
        target.sent(2_000);
        target.sent(3_000);
        assert!(!target.back(3_000));
        assert_eq!(target.lost(99_000), None);
    }
}
