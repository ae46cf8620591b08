//! A client that says when datagrams begin and cease to come back.
//!
//! All to one address are of one flow, so what is seen is a verdict about a connection that exists as much as about a new one.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
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

/// Prints one [`Flip`] a line until the input ends.
pub fn run(to: &[Ipv4Addr], port: u16) -> Result<()> {
    super::end_with_input();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).context("open a UDP socket")?;
    socket.set_nonblocking(true).context("set O_NONBLOCK")?;
    let mut targets: Vec<(Ipv4Addr, Target)> =
        to.iter().map(|to| (*to, Target::default())).collect();
    loop {
        let now = micros();
        for (to, target) in &mut targets {
            // What cannot be sent is not answered, which is all that is asked.
            let _unsent = socket.send_to(&now.to_be_bytes(), (*to, port));
            target.sent(now);
        }
        sleep(BETWEEN);
        receive(&socket, &mut targets)?;
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
    fn one_that_is_overtaken_is_not_lost() {
        let mut target = Target::default();
        target.back(1_000);
        target.sent(2_000);
        target.sent(3_000);
        assert!(!target.back(3_000));
        assert_eq!(target.lost(99_000), None);
    }
}
