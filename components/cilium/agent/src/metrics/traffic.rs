//! Packets forwarded and dropped, straight from the datapath's counters.

use datapath::{Counter, Direction};

use super::snapshot::{Metric, counter, float};

pub(super) fn traffic(counters: &[Counter]) -> Vec<Metric> {
    let direction = |counter: &Counter| match counter.direction {
        Direction::Ingress => "INGRESS".to_owned(),
        Direction::Egress => "EGRESS".to_owned(),
    };
    let forwarded = |value: fn(&Counter) -> u64| {
        let all = counters.iter().filter(|counter| counter.reason == 0);
        all.map(|counter| {
            (
                vec![("direction", direction(counter))],
                float(value(counter)),
            )
        })
        .collect()
    };
    let dropped = |value: fn(&Counter) -> u64| {
        let all = counters.iter().filter(|counter| counter.reason != 0);
        all.map(|counter| {
            let labels = vec![
                ("reason", counter.reason_name().to_owned()),
                ("direction", direction(counter)),
            ];
            (labels, float(value(counter)))
        })
        .collect()
    };
    vec![
        counter(
            "forward_count",
            "Packets forwarded",
            forwarded(|c| c.packets),
        ),
        counter("forward_bytes", "Bytes forwarded", forwarded(|c| c.bytes)),
        counter(
            "drop_count",
            "Packets dropped, by reason",
            dropped(|c| c.packets),
        ),
        counter(
            "drop_bytes",
            "Bytes dropped, by reason",
            dropped(|c| c.bytes),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::super::snapshot::Snapshot;
    use super::*;

    #[test]
    fn forwarded_and_dropped_packets_have_ciliums_names_and_reasons() {
        let counters = [
            Counter {
                reason: 0,
                direction: Direction::Egress,
                packets: 5,
                bytes: 500,
            },
            Counter {
                reason: 132,
                direction: Direction::Egress,
                packets: 2,
                bytes: 99,
            },
        ];
        let mut registry = Registry::with_prefix("cilium");
        registry.register_collector(Box::new(Snapshot::of(traffic(&counters))));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("cilium_forward_count_total{direction=\"EGRESS\"} 5"),
            "{text}"
        );
        assert!(
            text.contains(
                "cilium_drop_count_total{reason=\"Invalid source ip\",direction=\"EGRESS\"} 2"
            ),
            "{text}"
        );
    }
}
