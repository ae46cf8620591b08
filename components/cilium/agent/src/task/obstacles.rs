//! What stands in the way of a Service's address and port: said in the log and in an event, once while it stays.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::agent::Agent;
use crate::services::{Sockets, listens};

/// Events at one look: the next look waits meanwhile, and whoever may write Services can give cause for any number. That one goes on.
const AT_ONCE: usize = 16;

/// Why, and a sentence with the object and the cure.
pub type Obstacle = (&'static str, String);

/// A process of the node has a node port or host port, too.
pub const IN_USE: &str = "NodePortInUse";
/// A Service names what is somebody else's.
pub const REFUSED: &str = "ExternalAddressRefused";

/// What was told.
#[derive(Debug, Default)]
pub struct Obstacles(BTreeSet<Obstacle>);

impl Obstacles {
    pub async fn tell(&mut self, agent: &Agent, now: BTreeSet<Obstacle>) {
        for obstacle in self.take(now) {
            let (reason, sentence) = &obstacle;
            tracing::warn!("{sentence}");
            if !agent.announce(reason, sentence).await {
                return;
            }
            self.0.insert(obstacle);
        }
    }

    /// What is to be told now. What is over is forgotten, so that it is told when it comes back.
    fn take(&mut self, now: BTreeSet<Obstacle>) -> Vec<Obstacle> {
        self.0.retain(|told| now.contains(told));
        let new = now.into_iter().filter(|one| !self.0.contains(one));
        new.take(AT_ONCE).collect()
    }
}

/// What the node's sockets wait at. Of connections, of which there may be many, nothing is read.
pub fn sockets() -> io::Result<Sockets> {
    let mut sockets = Sockets::default();
    for name in ["tcp", "tcp6"] {
        let listening =
            lines(name)?.take_while(|line| line.as_ref().is_ok_and(|line| listens(line)));
        sockets
            .tcp
            .extend(listening.collect::<io::Result<Vec<_>>>()?);
    }
    for name in ["udp", "udp6"] {
        sockets
            .udp
            .extend(lines(name)?.collect::<io::Result<Vec<_>>>()?);
    }
    Ok(sockets)
}

/// Without the heading. A kernel without IPv6 has no list of it.
fn lines(name: &str) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    let file = match File::open(Path::new("/proc/net").join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        file => Some(file?),
    };
    Ok(file
        .into_iter()
        .flat_map(|file| BufReader::new(file).lines().skip(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obstacles(number: usize) -> BTreeSet<Obstacle> {
        (0..number)
            .map(|one| (REFUSED, format!("{one:03}")))
            .collect()
    }

    #[test]
    fn many_are_told_over_several_looks_and_each_once_while_it_stays() {
        let mut told = Obstacles::default();
        for expected in [16, 16, 8, 0] {
            let new = told.take(obstacles(40));
            assert_eq!(new.len(), expected);
            told.0.extend(new);
        }
        assert!(told.take(BTreeSet::new()).is_empty());
        assert_eq!(told.take(obstacles(1)).len(), 1);
    }
}
