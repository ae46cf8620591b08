//! Processes of the node at ports of Services: said in the log and in an event, once while they stay.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use crate::agent::Agent;
use crate::services::{Sockets, listens};

const REASON: &str = "NodePortInUse";

/// What was told.
#[derive(Debug, Default)]
pub struct TakenPorts(BTreeSet<String>);

impl TakenPorts {
    pub async fn tell(&mut self, agent: &Agent, taken: BTreeSet<String>) {
        self.0.retain(|told| taken.contains(told));
        for sentence in taken {
            if self.0.contains(&sentence) {
                continue;
            }
            tracing::warn!("{sentence}");
            if agent.announce(REASON, &sentence).await {
                self.0.insert(sentence);
            }
        }
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
