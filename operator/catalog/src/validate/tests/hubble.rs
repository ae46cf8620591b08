//! What agents are to count.

use super::*;

fn counting(entries: &'static [&str]) -> impl Fn(&mut GlooNetworkSpec) {
    move |spec| {
        let entries = entries.iter().map(|&entry| entry.to_owned());
        spec.cilium.hubble.metrics = entries.collect();
    }
}

#[test]
fn each_metric_that_cannot_be_counted_is_named_with_its_place() {
    let refusals = refused(counting(&["drop", "httpV2", "tcp:sourceContext=podd"]));
    assert_eq!(refusals.len(), 2, "{refusals:#?}");
    assert!(refusals[0].starts_with("spec.cilium.hubble.metrics[1]: metric httpV2"));
    assert!(refusals[1].starts_with("spec.cilium.hubble.metrics[2]: \"podd\""));
}

#[test]
fn two_entries_of_one_metric_are_refused() {
    let refusals = refused(counting(&["drop", "drop:sourceContext=pod"]));
    names(
        &refusals,
        &[
            "spec.cilium.hubble.metrics",
            "drop is there twice",
            "one entry",
        ],
    );
}

#[test]
fn nothing_needs_to_be_counted() {
    assert_eq!(refused(counting(&[])), [""; 0]);
}
