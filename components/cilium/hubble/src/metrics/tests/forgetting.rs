//! Series of pods that are gone.

use std::time::Duration;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn series(metrics: &Metrics) -> usize {
    metrics.families()[0].series.len()
}

fn web_only(pod: &Pod) -> bool {
    pod.name == "web-1"
}

#[test]
fn series_of_a_pod_go_a_minute_after_it_and_not_before() {
    let metrics = of("tcp:sourceContext=pod;destinationContext=namespace");
    see(&metrics, &at(1));
    let now = Instant::now();
    metrics.forget(now, |_| true);
    metrics.forget(now + SECOND, web_only);
    metrics.forget(now + KEPT, web_only);
    assert_eq!(series(&metrics), 1);
    metrics.forget(now + KEPT + SECOND, web_only);
    assert_eq!(series(&metrics), 0);
}

#[test]
fn a_pod_that_comes_back_under_its_name_keeps_its_series() {
    let metrics = of("tcp:labelsContext=source_pod");
    see(&metrics, &at(1));
    let now = Instant::now();
    metrics.forget(now, web_only);
    metrics.forget(now + SECOND, |_| true);
    metrics.forget(now + 2 * SECOND, web_only);
    metrics.forget(now + KEPT + SECOND, web_only);
    assert_eq!(series(&metrics), 1);
    metrics.forget(now + KEPT + 2 * SECOND, web_only);
    assert_eq!(series(&metrics), 0);
}

#[test]
fn either_end_takes_its_series_along_and_an_address_is_its_pods() {
    let gone = |entry: &str| {
        let metrics = of(entry);
        see(&metrics, &at(1));
        let now = Instant::now();
        metrics.forget(now, |pod| pod.name != "client-1");
        metrics.forget(now + KEPT, |pod| pod.name != "client-1");
        series(&metrics) == 0
    };
    assert!(gone("tcp:destinationContext=pod;sourceContext=pod-name"));
    assert!(gone("tcp:sourceContext=ip"));
    assert!(gone("tcp:labelsContext=source_ip"));
    assert!(!gone("tcp:destinationContext=pod"));
}

#[test]
fn an_address_that_was_known_before_its_pod_goes_with_it_too() {
    for entry in ["tcp:sourceContext=ip", "tcp:labelsContext=source_ip"] {
        let metrics = of(entry);
        metrics.saw(&at(1), &Parties::default(), &Cluster);
        see(&metrics, &at(2));
        assert_eq!(series(&metrics), 1, "{entry}");
        let now = Instant::now();
        metrics.forget(now, web_only);
        metrics.forget(now + KEPT, web_only);
        assert_eq!(series(&metrics), 0, "{entry}");
    }
}

#[test]
fn what_pods_share_stays() {
    let metrics = of("tcp:sourceContext=namespace|pod;labelsContext=source_workload,source_app");
    see(&metrics, &at(1));
    let now = Instant::now();
    metrics.forget(now, |_| false);
    metrics.forget(now + 2 * KEPT, |_| false);
    assert_eq!(series(&metrics), 1);
}
