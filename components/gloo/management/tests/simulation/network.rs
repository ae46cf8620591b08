//! The network between agents and replicas: one wire per stream, each direction with troubles of its own.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use gloo_relay::{
    proto::{FromAgent, FromServer},
    session::Moment,
};

use super::random::Random;

/// When an end notices that the other is gone.
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(40);

/// One direction.
#[derive(Debug)]
struct Lane<T> {
    messages: VecDeque<(Moment, T)>,
    /// Nothing arrives from then until then.
    silent: (Moment, Moment),
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self {
            messages: VecDeque::new(),
            silent: (Moment::ZERO, Moment::ZERO),
        }
    }
}

impl<T: Clone> Lane<T> {
    fn send(&mut self, at: Moment, message: T) {
        let at = self.messages.back().map_or(at, |(last, _)| at.max(*last));
        self.messages.push_back((at, message));
    }

    fn next(&mut self, now: Moment) -> Option<T> {
        let arrived = self.messages.front().is_some_and(|(at, _)| *at <= now);
        if !arrived || self.silent.1 > now {
            return None;
        }
        self.messages.pop_front().map(|(_, message)| message)
    }

    fn due(&self) -> Option<Moment> {
        let (at, _) = self.messages.front()?;
        Some(self.silent.1.max(*at))
    }

    /// What no TCP does; the sessions must stand it.
    fn trouble(&mut self, random: &mut Random) {
        match random.below(3) {
            0 => drop(self.messages.pop_front()),
            1 => self.messages.extend(self.messages.back().cloned()),
            _ if self.messages.len() > 1 => {
                let last = self.messages.len() - 1;
                let (one, other) = (
                    self.messages[last].1.clone(),
                    self.messages[last - 1].1.clone(),
                );
                self.messages[last].1 = other;
                self.messages[last - 1].1 = one;
            }
            _ => {}
        }
    }
}

/// The wire of one stream.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) cluster: usize,
    pub(crate) replica: usize,
    up: Lane<FromAgent>,
    down: Lane<FromServer>,
    cut: Option<Moment>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) wires: BTreeMap<usize, Wire>,
    last: usize,
    random: Random,
    /// Packets are lost, and come later for it.
    pub(crate) lossy: bool,
}

impl Network {
    pub(crate) fn new(random: Random) -> Self {
        Self {
            wires: BTreeMap::new(),
            last: 0,
            random,
            lossy: false,
        }
    }

    pub(crate) fn open(&mut self, cluster: usize, replica: usize) -> usize {
        self.last += 1;
        let wire = Wire {
            cluster,
            replica,
            up: Lane::default(),
            down: Lane::default(),
            cut: None,
        };
        self.wires.insert(self.last, wire);
        self.last
    }

    fn delay(&mut self) -> Duration {
        let lost = self.lossy && self.random.once_in(3);
        self.random.millis(if lost { 8000 } else { 120 })
    }

    pub(crate) fn send_up(&mut self, now: Moment, stream: usize, message: FromAgent) {
        let at = now + self.delay();
        if let Some(wire) = self.whole(stream) {
            wire.up.send(at, message);
        }
    }

    pub(crate) fn send_down(&mut self, now: Moment, stream: usize, message: FromServer) {
        let at = now + self.delay();
        if let Some(wire) = self.whole(stream) {
            wire.down.send(at, message);
        }
    }

    fn whole(&mut self, stream: usize) -> Option<&mut Wire> {
        let wire = self.wires.get_mut(&stream)?;
        wire.cut.is_none().then_some(wire)
    }

    pub(crate) fn at_server(&mut self, now: Moment, stream: usize) -> Option<FromAgent> {
        self.wires.get_mut(&stream)?.up.next(now)
    }

    pub(crate) fn at_agent(&mut self, now: Moment, stream: usize) -> Option<FromServer> {
        self.wires.get_mut(&stream)?.down.next(now)
    }

    /// Whether an end has noticed that nothing comes any more.
    pub(crate) fn is_lost(&self, now: Moment, stream: usize) -> bool {
        self.wires.get(&stream).is_none_or(|wire| {
            let silent = [wire.up.silent, wire.down.silent];
            let silent = silent.map(|(from, until)| now > from + KEEPALIVE && now < until);
            silent.contains(&true) || wire.cut.is_some_and(|cut| now > cut + KEEPALIVE)
        })
    }

    pub(crate) fn is_whole(&self, stream: usize) -> bool {
        self.wires
            .get(&stream)
            .is_some_and(|wire| wire.cut.is_none())
    }

    /// The ends notice later, each at its own time.
    pub(crate) fn cut(&mut self, now: Moment, which: impl Fn(&Wire) -> bool) {
        for wire in self.wires.values_mut().filter(|wire| which(wire)) {
            wire.cut.get_or_insert(now);
        }
    }

    pub(crate) fn cut_one(&mut self, now: Moment, stream: usize) {
        if let Some(wire) = self.wires.get_mut(&stream) {
            wire.cut.get_or_insert(now);
        }
    }

    /// What was in the way is not any more.
    pub(crate) fn heal(&mut self) {
        self.lossy = false;
        for wire in self.wires.values_mut() {
            (wire.up.silent, wire.down.silent) = Default::default();
        }
    }

    /// One direction of one wire is silent for a while.
    pub(crate) fn silence(&mut self, now: Moment, until: Moment) {
        let up = self.random.once_in(2);
        if let Some(wire) = self.any() {
            if up {
                wire.up.silent = (now, until);
            } else {
                wire.down.silent = (now, until);
            }
        }
    }

    /// Messages of one wire are lost, repeated or out of order.
    pub(crate) fn trouble(&mut self) {
        let mut random = self.random.fork();
        if let Some(wire) = self.any() {
            wire.up.trouble(&mut random);
            wire.down.trouble(&mut random);
        }
    }

    fn any(&mut self) -> Option<&mut Wire> {
        if self.wires.is_empty() {
            return None;
        }
        let at = self.random.index(self.wires.len());
        self.wires.values_mut().nth(at)
    }

    /// Wires nobody looks at any more.
    pub(crate) fn sweep(&mut self, now: Moment) {
        self.wires
            .retain(|_, wire| wire.cut.is_none_or(|cut| now <= cut + 2 * KEEPALIVE));
    }

    /// When the next message arrives.
    pub(crate) fn due(&self) -> Option<Moment> {
        let wires = self.wires.values();
        wires
            .flat_map(|wire| [wire.up.due(), wire.down.due()])
            .flatten()
            .min()
    }
}
