//! What an agent says of the ways that carry pods' packets, at `/datapath` of its health port.

use std::collections::BTreeMap;

use gloonet_catalog::carried::{KNOWN, NODE_LOST, NODE_NEW, REACHED, SERVICE_LOST, SERVICE_NEW};
use serde::Deserialize;

use super::Values;

#[derive(Deserialize)]
struct Datapath {
    carried: Option<Carried>,
}

#[derive(Deserialize)]
struct Carried {
    known: u32,
    reached: u32,
    unreached: BTreeMap<String, Way>,
    service: Option<Way>,
}

#[derive(Clone, Copy, Deserialize)]
struct Way {
    failures: u32,
    worked: bool,
}

/// Without values where the agent does not probe.
pub(super) fn values(body: &str) -> Result<Values, serde_json::Error> {
    let Some(carried) = serde_json::from_str::<Datapath>(body)?.carried else {
        return Ok(Values::new());
    };
    let mut values = Values::from([
        (KNOWN.to_owned(), f64::from(carried.known)),
        (REACHED.to_owned(), f64::from(carried.reached)),
    ]);
    for (node, way) in carried.unreached {
        let kind = if way.worked { NODE_LOST } else { NODE_NEW };
        values.insert(format!("{kind}{node}"), f64::from(way.failures));
    }
    if let Some(way) = carried.service {
        let kind = if way.worked {
            SERVICE_LOST
        } else {
            SERVICE_NEW
        };
        values.insert(kind.to_owned(), f64::from(way.failures));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ways_that_worked_and_ways_that_never_did_are_told_apart() {
        let body = json!({
            "ready": true, "pods": 3, "message": "3 pods",
            "carried": {
                "known": 4, "reached": 2,
                "unreached": {
                    "worker-2": {"failures": 4, "worked": true},
                    "worker-3": {"failures": 0, "worked": false},
                },
                "service": {"failures": 1, "worked": false},
            },
        });
        let expected = [
            ("known", 4.0),
            ("lost/worker-2", 4.0),
            ("new/worker-3", 0.0),
            ("reached", 2.0),
            ("service new", 1.0),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(values(&body.to_string()).unwrap(), expected.into());
    }

    #[test]
    fn an_agent_that_does_not_probe_says_nothing_and_one_that_talks_nonsense_is_not_believed() {
        assert_eq!(values(r#"{"ready": true}"#).unwrap(), Values::new());
        for nonsense in ["", "<html>", r#"{"carried": {"reached": -1}}"#] {
            assert!(values(nonsense).is_err(), "{nonsense}");
        }
    }
}
