//! Who crowds the node's tables of connections, as a sentence. Pure.

use std::net::Ipv4Addr;

use datapath::GaveWay;

use crate::holders::Pods;

/// Named in a sentence.
const NAMED: usize = 3;

/// `gave_way` has who lost most first. The sentence has no number in it: it stays the same while the same ones go on.
pub(crate) fn sentence(gave_way: &[GaveWay], pods: [&Pods; 2]) -> Option<String> {
    let lost = |of: fn(&GaveWay) -> u64| gave_way.iter().any(|one| of(one) > 0);
    let table = match (lost(|one| one.connections), lost(|one| one.translations)) {
        (false, false) => return None,
        (false, true) => "masqueraded connections",
        (true, false) => "connections",
        (true, true) => "connections and that of masqueraded ones",
    };
    let mut named: Vec<String> = gave_way
        .iter()
        .take(NAMED)
        .map(|one| name(one.holder, pods))
        .collect();
    named.sort_unstable();
    let others = gave_way.len().saturating_sub(NAMED);
    if others > 0 {
        named.push(format!("{others} more"));
    }
    Some(format!(
        "the node's table of {table} is crowded, most by {}; what would end first of theirs is forgotten so that others keep their own: find out why they begin so many, `cilium-dbg bpf ct list` has them",
        named.join(", ")
    ))
}

fn name(holder: Ipv4Addr, pods: [&Pods; 2]) -> String {
    let pod = pods.iter().find_map(|pods| pods.get(&holder));
    match pod {
        Some((namespace, name)) if !name.is_empty() => format!("{namespace}/{name} ({holder})"),
        _ => holder.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gave_way(last: u8, connections: u64, translations: u64) -> GaveWay {
        GaveWay {
            holder: Ipv4Addr::new(10, 244, 1, last),
            connections,
            translations,
        }
    }

    fn said(gave_way: &[GaveWay]) -> Option<String> {
        let pod = |last: u8, name: &str| {
            let name = ("shop".to_owned(), name.to_owned());
            (Ipv4Addr::new(10, 244, 1, last), name)
        };
        let (own, others) = (Pods::from([pod(5, "web")]), Pods::from([pod(6, "crawler")]));
        sentence(gave_way, [&own, &others])
    }

    #[test]
    fn nothing_is_said_where_nobody_gave_way() {
        assert_eq!(said(&[]), None);
    }

    #[test]
    fn who_gave_way_is_named_by_pod_on_whichever_node_and_else_by_address() {
        let said = said(&[gave_way(6, 900, 0), gave_way(5, 7, 0), gave_way(9, 1, 0)]).unwrap();
        assert!(
            said.starts_with("the node's table of connections is crowded, most by 10.244.1.9, shop/crawler (10.244.1.6), shop/web (10.244.1.5);"),
            "{said}"
        );
    }

    #[test]
    fn the_sentence_stays_the_same_while_the_same_ones_go_on() {
        let first = said(&[gave_way(6, 900, 1), gave_way(5, 7, 0)]);
        assert_eq!(said(&[gave_way(5, 30, 0), gave_way(6, 20, 3)]), first);
    }

    #[test]
    fn at_most_three_are_named_and_the_rest_counted() {
        let five: Vec<_> = (1..=5).map(|last| gave_way(last, 0, 1)).collect();
        let said = said(&five).unwrap();
        assert!(said.contains("table of masqueraded connections"), "{said}");
        assert!(said.contains("10.244.1.3, 2 more;"), "{said}");
    }
}
