//! What holds of every event.

use cilium_api::hubble_metrics::End;
use proptest::prelude::*;

use super::*;
use crate::{event::PACKET_BYTES, fixture::CIDR_IDENTITY, flow::build};

fn events() -> impl Strategy<Value = PacketEvent> {
    let address = || prop::sample::select(vec![WEB, CLIENT, DNS, WORLD]);
    let kinds = prop_oneof![
        any::<u8>().prop_map(|reason| Kind::Drop { reason }),
        (0u8..16).prop_map(|point| Kind::Trace { point }),
        (-200i32..200, any::<u8>()).prop_map(|(verdict, match_type)| Kind::PolicyVerdict {
            verdict,
            match_type
        }),
    ];
    let protocol = prop::sample::select(vec![1u8, 2, 6, 17, 47, 112, 132]);
    let payload = prop::collection::vec(any::<u8>(), 0..PACKET_BYTES);
    let identity = || prop::sample::select(vec![0u32, 1, 2, 7, 2001, 2002, CIDR_IDENTITY]);
    let ids = (identity(), identity(), 0u16..14, any::<Option<bool>>());
    let packet = (protocol, address(), address(), payload);
    (kinds, packet, ids).prop_map(
        |(kind, (protocol, source, destination, payload), (from, to, endpoint, is_reply))| {
            PacketEvent {
                endpoint_id: endpoint,
                source_identity: from,
                destination_identity: to,
                is_reply,
                ..event(kind, &ipv4(protocol, source, destination, &payload), 1)
            }
        },
    )
}

const ENTRIES: [&str; 7] = [
    "drop:labelsContext=source_ip,source_namespace,source_pod,source_workload,source_workload_kind,source_app",
    "flow:sourceContext=pod|reserved-identity;destinationEgressContext=workload",
    "flow:requests-only;workloads-only",
    "flows-to-world:any-drop;port;destinationContext=ip",
    "icmp:sourceContext=identity",
    "port-distribution:labelsContext=destination_pod,traffic_direction",
    "tcp:sourceIngressContext=app|workload-name;destinationContext=pod-name|namespace",
];

proptest! {
    #[test]
    fn a_series_has_a_value_for_each_label(event in events(), entry in prop::sample::select(&ENTRIES[..])) {
        let metric: HubbleMetric = entry.parse().unwrap();
        let parties = Parties::of(&event, &Cluster);
        for row in rows(&metric, &Seen::of(&event, &parties, &Cluster)) {
            prop_assert_eq!(row.labels.len(), label_names(&metric).len());
            prop_assert!(row.named.len() <= 2);
        }
    }

    /// Clients of the API and readers of metrics are told the same.
    #[test]
    fn a_series_says_what_the_flow_says(event in events()) {
        let flow = build(&event, &Cluster);
        let parties = Parties::of(&event, &Cluster);
        let metric = "flow:sourceContext=identity;destinationContext=pod-name;labelsContext=traffic_direction,source_ip";
        let row = rows(&metric.parse().unwrap(), &Seen::of(&event, &parties, &Cluster)).remove(0);
        let direction = flow.traffic_direction().as_str_name().to_lowercase();
        prop_assert_eq!(&row.labels[3], flow.verdict().as_str_name());
        prop_assert_eq!(row.labels[4].as_str(), direction.trim_start_matches("traffic_direction_"));
        prop_assert_eq!(&row.labels[5], &flow.ip.unwrap().source);
        prop_assert_eq!(&row.labels[6], &flow.source.unwrap().labels.join(","));
        let destination = flow.destination.unwrap();
        prop_assert_eq!(&row.labels[7], &destination.pod_name);
        // A series with the source's address is the source's.
        let pods = [(End::Source, true), (End::Destination, !destination.pod_name.is_empty())];
        let named: Vec<End> = pods.into_iter().filter(|(_, named)| *named).map(|(end, _)| end).collect();
        prop_assert_eq!(row.named, named);
    }

    #[test]
    fn a_drop_that_is_told_is_counted_in_drop_and_nothing_else_is(event in events()) {
        let series = counted("drop", &[event]).len();
        prop_assert_eq!(series == 1, matches!(event.kind, Kind::Drop { .. }));
    }
}
