//! Services that share pods: where an access policy answers for a port of some pods, the isolation of another service must not
//! open that port again.

use std::collections::BTreeSet;

use crate::{
    rule::Excluded,
    select::labelled,
    world::{Labels, Namespace, PodPort, Slot},
};

/// Rules one isolated port is split into at most. More is nobody's intent, and would cost everybody.
const PIECES: usize = 16;

/// Pods and a port of theirs that an access policy answers for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    pub(crate) slot: Slot,
    pub(crate) selector: Labels,
    pub(crate) port: PodPort,
}

/// What is left of the pods of `selector`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// One rule each; none: all are taken.
    Pieces(Vec<Excluded>),
    /// More pieces than are made: nobody more is let in anywhere.
    TooMany,
}

/// What is left of the pods of a service for one of its ports. `taken` is what is taken in its namespace.
pub(crate) fn left(ns: &Namespace, selector: &Labels, port: &PodPort, taken: &[&Taken]) -> Left {
    let mut pieces = vec![Excluded::new()];
    for other in taken {
        let meets = !apart(selector, &other.selector)
            && same_port(ns, (selector, port), (&other.selector, &other.port));
        if !meets {
            continue;
        }
        pieces = without(pieces, selector, &other.selector);
        if pieces.len() > PIECES {
            return Left::TooMany;
        }
    }
    Left::Pieces(pieces)
}

/// Whether no pod can have both.
fn apart(one: &Labels, other: &Labels) -> bool {
    one.iter()
        .any(|(label, value)| other.get(label).is_some_and(|theirs| theirs != value))
}

/// A pod has not all labels of `other` when it lacks one of them.
fn without(pieces: Vec<Excluded>, selector: &Labels, other: &Labels) -> Vec<Excluded> {
    let more: Excluded = other
        .iter()
        .filter(|(label, _)| !selector.contains_key(*label))
        .map(|(label, value)| (label.clone(), value.clone()))
        .collect();
    let mut left = BTreeSet::new();
    for piece in pieces {
        if !piece.is_disjoint(&more) {
            left.insert(piece);
            continue;
        }
        for pair in &more {
            let mut piece = piece.clone();
            piece.insert(pair.clone());
            left.insert(piece);
        }
    }
    left.into_iter().collect()
}

/// Whether two ports of pods can be one. A name nobody explains can be any number.
fn same_port(ns: &Namespace, one: (&Labels, &PodPort), other: (&Labels, &PodPort)) -> bool {
    if one.1.protocol != other.1.protocol {
        return false;
    }
    if one.1.port == other.1.port {
        return true;
    }
    match (numbers(ns, one.0, one.1), numbers(ns, other.0, other.1)) {
        (Some(one), Some(other)) => !one.is_disjoint(&other),
        _ => true,
    }
}

fn numbers(ns: &Namespace, selector: &Labels, port: &PodPort) -> Option<BTreeSet<u16>> {
    if let Ok(number) = port.port.parse() {
        return Some([number].into());
    }
    let of_them = ns
        .workloads
        .values()
        .filter(|workload| labelled(selector, &workload.labels));
    let numbers: BTreeSet<_> = of_them
        .filter_map(|workload| workload.ports.get(&port.port).copied())
        .collect();
    (!numbers.is_empty()).then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Workload;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs
            .iter()
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn port(port: &str) -> PodPort {
        PodPort {
            port: port.to_owned(),
            protocol: "TCP",
        }
    }

    fn slot() -> Slot {
        Slot {
            cluster: "west".parse().unwrap(),
            namespace: "shop".to_owned(),
        }
    }

    /// What is left of `app=web` on 8080.
    fn rest(ns: &Namespace, taken: &[(&[(&str, &str)], &str)]) -> Left {
        let taken: Vec<_> = taken
            .iter()
            .map(|(selector, at)| Taken {
                slot: slot(),
                selector: labels(selector),
                port: port(at),
            })
            .collect();
        let taken: Vec<_> = taken.iter().collect();
        let web = labels(&[("app", "web")]);
        left(ns, &web, &port("8080"), &taken)
    }

    fn pieces(pieces: &[&[(&str, &str)]]) -> Left {
        let piece = |pairs: &&[(&str, &str)]| labels(pairs).into_iter().collect();
        Left::Pieces(pieces.iter().map(piece).collect())
    }

    #[test]
    fn pods_that_are_all_taken_leave_nothing_and_others_everything() {
        let ns = Namespace::default();
        assert_eq!(rest(&ns, &[(&[("app", "web")], "8080")]), pieces(&[]));
        assert_eq!(rest(&ns, &[(&[("app", "db")], "8080")]), pieces(&[&[]]));
        assert_eq!(rest(&ns, &[(&[("app", "web")], "9090")]), pieces(&[&[]]));
    }

    #[test]
    fn what_a_narrower_service_took_is_left_out() {
        let ns = Namespace::default();
        let canary: &[_] = &[("app", "web"), ("track", "canary")];
        assert_eq!(
            rest(&ns, &[(canary, "8080")]),
            pieces(&[&[("track", "canary")]])
        );
        let two: &[_] = &[("track", "canary"), ("zone", "a")];
        assert_eq!(
            rest(&ns, &[(two, "8080")]),
            pieces(&[&[("track", "canary")], &[("zone", "a")]])
        );
        assert_eq!(
            rest(&ns, &[(canary, "8080"), (two, "8080")]),
            pieces(&[&[("track", "canary")]])
        );
    }

    #[test]
    fn a_named_port_is_the_number_its_workload_says_or_any() {
        let mut ns = Namespace::default();
        let taken: &[(&[(&str, &str)], &str)] = &[(&[("app", "web")], "metrics")];
        assert_eq!(rest(&ns, taken), pieces(&[]));
        let workload = Workload {
            labels: labels(&[("app", "web")]),
            ports: [("metrics".to_owned(), 9090)].into(),
            ..Workload::default()
        };
        ns.workloads.insert("Deployment/web".to_owned(), workload);
        assert_eq!(rest(&ns, taken), pieces(&[&[]]));
    }

    #[test]
    fn selectors_made_to_multiply_end_in_nobody() {
        let names: Vec<String> = (0..20).map(|number| format!("l{number}")).collect();
        let selectors: Vec<Vec<(&str, &str)>> = names
            .chunks(2)
            .map(|pair| pair.iter().map(|name| (name.as_str(), "x")).collect())
            .collect();
        let taken: Vec<(&[(&str, &str)], &str)> =
            selectors.iter().map(|pairs| (&pairs[..], "8080")).collect();
        assert_eq!(rest(&Namespace::default(), &taken), Left::TooMany);
    }
}
