//! A bad cable: copies frames between two interfaces of the switch, late or not at all. In user space, because a kernel may
//! be built without netem.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::enter::{enter_network, report};
use super::{Error, namespace};
use crate::packet::{PacketSocket, wait_readable};

/// What a link does to frames, in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Impairment {
    /// How much later every frame arrives.
    pub delay_ms: u32,
    /// How many frames in a hundred never arrive.
    pub loss_percent: u8,
    /// The same seed loses the same frames of the same sequence.
    pub seed: u64,
}

/// A cable between two interfaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relay {
    /// Namespace of both.
    pub network: PathBuf,
    /// Their names.
    pub ends: [String; 2],
    /// What it does.
    pub impairment: Impairment,
}

struct Frame {
    due: Instant,
    to: usize,
    bytes: Vec<u8>,
}

/// Prints `ready`, then copies until an interface is gone.
pub(super) fn run(spec: &Relay) -> Result<ExitCode, Error> {
    nix::unistd::setsid().map_err(namespace("start a session"))?;
    enter_network(&spec.network)?;
    let [a, b] = &spec.ends;
    let sockets = [PacketSocket::open(a)?, PacketSocket::open(b)?];
    report("ready")?;
    let delay = Duration::from_millis(spec.impairment.delay_ms.into());
    let mut dice = Dice(spec.impairment.seed);
    let mut waiting: VecDeque<Frame> = VecDeque::new();
    loop {
        for (from, socket) in sockets.iter().enumerate() {
            while let Some(bytes) = socket.receive()? {
                if !dice.hits(spec.impairment.loss_percent) {
                    waiting.push_back(Frame {
                        due: Instant::now() + delay,
                        to: 1 - from,
                        bytes,
                    });
                }
            }
        }
        while waiting
            .front()
            .is_some_and(|frame| frame.due <= Instant::now())
        {
            // A frame the interface does not take is lost, as on any cable.
            if let Some(frame) = waiting.pop_front() {
                let _ = sockets[frame.to].send(&frame.bytes);
            }
        }
        let idle = Duration::from_secs(1);
        let next = waiting
            .front()
            .map_or(idle, |f| f.due.saturating_duration_since(Instant::now()));
        wait_readable(&[sockets[0].as_fd(), sockets[1].as_fd()], next)
            .map_err(namespace("wait for frames"))?;
    }
}

/// Pseudo-random and repeatable (splitmix64).
struct Dice(u64);

impl Dice {
    fn hits(&mut self, percent: u8) -> bool {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % 100 < u64::from(percent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost_of_ten_thousand(percent: u8, seed: u64) -> usize {
        let mut dice = Dice(seed);
        (0..10_000).filter(|_| dice.hits(percent)).count()
    }

    #[test]
    fn about_as_many_frames_are_lost_as_was_asked_for() {
        assert_eq!(lost_of_ten_thousand(0, 1), 0);
        assert_eq!(lost_of_ten_thousand(100, 1), 10_000);
        let lost = lost_of_ten_thousand(20, 1);
        assert!((1_800..2_200).contains(&lost), "{lost}");
    }

    #[test]
    fn the_same_seed_loses_the_same_frames() {
        assert_eq!(lost_of_ten_thousand(37, 7), lost_of_ten_thousand(37, 7));
        assert_ne!(lost_of_ten_thousand(37, 7), lost_of_ten_thousand(37, 8));
    }
}
