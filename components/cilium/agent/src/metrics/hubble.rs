//! Hubble's metrics, under Hubble's names: what `hubble-metrics` asks for, what of it had no room, and which events were lost.

use cilium_hubble::export::Counts;
use cilium_hubble::metrics::Family;
use cilium_hubble::observer::Observer;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

#[derive(Debug)]
pub(super) struct Hubble {
    families: Vec<Family>,
    losses: [(&'static str, u64); 3],
    /// While flows are written to a file.
    exported: Option<[(&'static str, u64); 3]>,
}

impl Hubble {
    pub(super) fn take(observer: &Observer) -> Self {
        Self {
            families: observer.metrics().families(),
            losses: observer.losses(),
            exported: observer.exported().map(Counts::outcomes),
        }
    }
}

impl Collector for Hubble {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        for family in &self.families {
            let series = family.series.iter().map(|(values, count)| {
                let names = family.labels.iter().copied();
                (
                    names.zip(values.iter().map(String::as_str)).collect(),
                    *count,
                )
            });
            write(&mut encoder, family.name, family.help, series)?;
        }
        if !self.families.is_empty() {
            let help = "What had no room: a metric has a limit of series";
            let names: Vec<_> = self
                .families
                .iter()
                .map(|family| (format!("{}_total", family.name), family.uncounted))
                .collect();
            let series = names
                .iter()
                .map(|(name, count)| (vec![("metric", name.as_str())], *count));
            write(&mut encoder, "flows_uncounted", help, series)?;
        }
        let losses = self.losses.iter();
        let series = losses.map(|(source, count)| (vec![("source", *source)], *count));
        write(
            &mut encoder,
            "lost_events",
            "Events that were lost, by where",
            series,
        )?;
        let Some(exported) = &self.exported else {
            return Ok(());
        };
        let help = "Flows for the file, by what became of them: the ring went over those that are missed, the disk refused the refused";
        let outcomes = exported.iter();
        let series = outcomes.map(|(outcome, count)| (vec![("outcome", *outcome)], *count));
        write(&mut encoder, "export_flows", help, series)
    }
}

fn write<'a>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (Vec<(&'a str, &'a str)>, u64)>,
) -> std::fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in series {
        ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;

    fn text(families: Vec<Family>, exported: Option<[(&'static str, u64); 3]>) -> String {
        let mut registry = Registry::with_prefix("hubble");
        let losses = [
            ("perf_event_ring_buffer", 1),
            ("observer_events_queue", 2),
            ("hubble_ring_buffer", 3),
        ];
        registry.register_collector(Box::new(Hubble {
            families,
            losses,
            exported,
        }));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn series_have_hubbles_names_and_what_has_no_room_is_told() {
        let series = vec![(vec!["POLICY_DENIED".to_owned(), "shop/web-1".to_owned()], 4)];
        let text = text(
            vec![Family {
                name: "drop",
                help: "Packets dropped",
                labels: vec!["reason", "source"],
                series,
                uncounted: 7,
            }],
            None,
        );
        for line in [
            r#"hubble_drop_total{reason="POLICY_DENIED",source="shop/web-1"} 4"#,
            r#"hubble_flows_uncounted_total{metric="drop_total"} 7"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn losses_are_told_also_when_nothing_is_counted() {
        let text = text(Vec::new(), None);
        for line in [
            r#"hubble_lost_events_total{source="perf_event_ring_buffer"} 1"#,
            r#"hubble_lost_events_total{source="observer_events_queue"} 2"#,
            r#"hubble_lost_events_total{source="hubble_ring_buffer"} 3"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!text.contains("uncounted"), "{text}");
    }

    #[test]
    fn flows_in_files_are_counted_while_there_are_files() {
        assert!(!text(Vec::new(), None).contains("export"));
        let text = text(
            Vec::new(),
            Some([("written", 8), ("missed", 4), ("refused", 5)]),
        );
        for line in [
            r#"hubble_export_flows_total{outcome="written"} 8"#,
            r#"hubble_export_flows_total{outcome="missed"} 4"#,
            r#"hubble_export_flows_total{outcome="refused"} 5"#,
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
