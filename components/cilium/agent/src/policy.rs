//! The one policy of all pods while the agent resolves none: it allows everything.

use std::collections::BTreeMap;

use datapath::{Datapath, Direction, Error, PolicyEntry, PolicyKey, Verdict};

/// Its number.
pub const ALLOW_ALL: u32 = 1;

/// Makes it known to the datapath, before the first pod is judged by it.
pub fn allow_all(datapath: &dyn Datapath) -> Result<(), Error> {
    let entry = PolicyEntry {
        verdict: Verdict::Allow,
        cookie: 0,
    };
    let entries = [Direction::Ingress, Direction::Egress].map(|direction| {
        let key = PolicyKey {
            identity: 0,
            direction,
            protocol: 0,
            port: 0,
            port_bits: 0,
        };
        (key, entry)
    });
    datapath.set_policy(ALLOW_ALL, &BTreeMap::from(entries))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_allows_any_peer_in_both_directions() {
        let datapath = datapath::Fake::new();
        allow_all(&datapath).unwrap();
        let entries = datapath.policy(ALLOW_ALL).unwrap().unwrap();
        assert_eq!(entries.len(), 2);
        assert!(
            entries
                .iter()
                .all(|(key, entry)| (key.identity, key.protocol, entry.verdict)
                    == (0, 0, Verdict::Allow))
        );
    }
}
