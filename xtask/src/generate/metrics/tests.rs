use super::*;

fn asker(text: &str) -> Asker {
    Asker {
        name: "alert A".to_owned(),
        text: text.to_owned(),
    }
}

#[test]
fn what_is_sent_is_what_dashboards_alerts_insights_and_dry_runs_ask_for() {
    let page = page().unwrap();
    assert!(
        page.contains("| `hubble_flows_processed_total` | dashboard Hubble and drops, dry runs |")
    );
    assert!(page.contains("insight HLT0112"), "{page}");
}

#[test]
fn a_name_is_found_whatever_stands_around_it_and_a_recorded_one_is_none() {
    let text = r#"sum by (le) (rate(cilium_a_bucket{job="gloo-telemetry-relayed"}[5m]))/hubble_b or node:cilium_c:rate5m"#;
    assert_eq!(names(text), BTreeSet::from(["cilium_a_bucket", "hubble_b"]));
}

#[test]
fn what_prometheus_scrapes_itself_is_not_asked_of_collectors() {
    let text = r#"cilium_a{k8s_app="cilium"} or otelcol_b{le="1", job=~"a|b"} or hubble_relay_x or cilium_c{cluster_name!=""}"#;
    assert_eq!(names(text), BTreeSet::from(["cilium_c"]));
}

#[test]
fn what_is_asked_for_and_not_sent_is_named_with_who_asks() {
    let error = compare(
        &["cilium_a"],
        &[asker("cilium_a"), asker("cilium_b_bucket")],
    );
    let said = error.unwrap_err().to_string();
    assert!(
        said.ends_with("\nalert A asks for cilium_b_bucket, which is not sent"),
        "{said}"
    );
}

#[test]
fn what_is_sent_and_asked_for_by_nobody_is_named() {
    let error = compare(&["cilium_a", "cilium_b"], &[asker("cilium_a")]);
    let said = error.unwrap_err().to_string();
    assert!(
        said.ends_with("\ncilium_b is sent and nobody asks for it"),
        "{said}"
    );
}

#[test]
fn a_histogram_is_asked_for_by_its_buckets_and_one_of_its_own_name_comes_before_it() {
    let asked = compare(
        &["cilium_a", "cilium_a_count"],
        &[asker("cilium_a_bucket"), asker("cilium_a_count")],
    );
    let asked = asked.unwrap();
    assert_eq!(asked.len(), 2);
    assert!(asked.values().all(|by| by.len() == 1), "{asked:?}");
}
