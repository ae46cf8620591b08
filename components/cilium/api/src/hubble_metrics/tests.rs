use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;

fn parsed(entry: &str) -> HubbleMetric {
    entry.parse().unwrap()
}

fn refused(entry: &str) -> String {
    let parsed: Result<HubbleMetric, _> = entry.parse();
    parsed.unwrap_err().to_string()
}

#[test]
fn an_entry_of_upstreams_documentation_is_read() {
    let metric = parsed(
        "drop:sourceContext=identity|namespace;destinationContext=pod;destinationIngressContext=pod|ip",
    );
    assert_eq!(metric.name, MetricName::Drop);
    assert_eq!(metric.source.any, [Context::Identity, Context::Namespace]);
    assert_eq!(metric.destination.any, [Context::Pod]);
    assert_eq!(metric.destination.ingress, [Context::Pod, Context::Ip]);
    assert!(metric.destination.egress.is_empty());
    let metric = parsed("flow:labelsContext=source_namespace,traffic_direction");
    assert_eq!(
        metric.labels,
        [
            ContextLabel::Of(End::Source, Part::Namespace),
            ContextLabel::TrafficDirection
        ]
    );
}

#[test]
fn a_metric_without_options_is_its_name_and_words_may_be_written_large() {
    assert_eq!(parsed("tcp"), HubbleMetric::plain(MetricName::Tcp));
    assert_eq!(parsed("tcp:"), parsed("tcp"));
    assert_eq!(
        parsed("TCP:SourceContext=POD;"),
        parsed("tcp:sourceContext=pod")
    );
}

#[test]
fn flags_belong_to_their_metric() {
    let metric = parsed("flows-to-world:any-drop;port");
    assert_eq!(metric.flags, [Flag::AnyDrop, Flag::Port]);
    assert!(metric.has(Flag::Port) && !metric.has(Flag::SynOnly));
    assert!(refused("drop:port").contains("metric drop has no option \"port\""));
    assert!(refused("flows-to-world:port=80").contains("takes no value"));
}

#[test]
fn what_cannot_be_counted_is_refused_by_name() {
    for name in ["dns", "http", "httpV2:exemplars=true"] {
        let refusal = refused(name);
        assert!(refusal.contains("layers 3 and 4 only"), "{refusal}");
        assert!(refusal.contains(name.split(':').next().unwrap()));
    }
    assert!(refused("tcp:sourceContext=dns|ip").contains("names of addresses are not learned"));
}

#[test]
fn a_wrong_word_is_named_with_those_there_are() {
    let says = |entry, parts: &[&str]| {
        let refusal = refused(entry);
        for part in parts {
            assert!(refusal.contains(part), "{part:?} is missing in: {refusal}");
        }
    };
    says("", &["no metric \"\""]);
    says("drops", &["\"drops\"", "drop, flow, flows-to-world"]);
    says("drop:from=pod", &["\"from\"", "sourceContext"]);
    says(
        "drop:sourceContext=podd",
        &["\"podd\"", "sourceContext", "pod-name"],
    );
    says("drop:sourceContext", &["\"\"", "is no context"]);
    says("drop:labelsContext=pod", &["\"pod\"", "source_pod"]);
    says("drop: sourceContext=pod", &["space"]);
    says(
        "drop:sourceContext=pod;sourcecontext=ip",
        &["sourcecontext", "twice"],
    );
}

#[test]
fn a_metric_is_there_once() {
    let list = |entries: &[&str]| HubbleMetric::list(entries.iter().copied());
    assert_eq!(list(&["drop", "tcp"]).unwrap().len(), 2);
    let refusal = list(&["drop:sourceContext=pod", "tcp", "drop"]).unwrap_err();
    assert_eq!(refusal, HubbleMetricError::Again("drop"));
}

fn contexts() -> impl Strategy<Value = Contexts> {
    let list = || prop::collection::vec(select(&Context::ALL[..]), 0..3);
    (list(), list(), list()).prop_map(|(any, egress, ingress)| Contexts {
        any,
        egress,
        ingress,
    })
}

fn metrics() -> impl Strategy<Value = HubbleMetric> {
    select(&MetricName::ALL[..]).prop_flat_map(|name| {
        let flags = subsequence(name.flags().to_vec(), 0..=name.flags().len());
        let labels = subsequence(ContextLabel::ALL.to_vec(), 0..=ContextLabel::ALL.len());
        (flags, contexts(), contexts(), labels.prop_shuffle()).prop_map(
            move |(flags, source, destination, labels)| HubbleMetric {
                name,
                flags,
                source,
                destination,
                labels,
            },
        )
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(metric in metrics()) {
        prop_assert_eq!(parsed(&metric.to_string()), metric);
    }

    #[test]
    fn any_text_is_read_or_refused_in_a_sentence(text in "[a-zA-Z0-9:;=|,_ -]{0,60}") {
        match text.parse::<HubbleMetric>() {
            Ok(metric) => prop_assert_eq!(parsed(&metric.to_string()), metric),
            Err(error) => prop_assert!(error.to_string().len() > 20),
        }
    }

    #[test]
    fn near_misses_of_an_entry_make_no_panic(metric in metrics(), at: prop::sample::Index, with in "[:;=|,é]") {
        let mut text = metric.to_string();
        let at = at.index(text.len());
        text.replace_range(at..=at, &with);
        let _ = text.parse::<HubbleMetric>();
    }
}
