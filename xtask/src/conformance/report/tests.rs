use serde_json::{Value, json};

use super::*;

fn spec(name: &str, state: &str, message: Option<&str>) -> Value {
    let mut spec = json!({
        "ContainerHierarchyTexts": ["[sig-network] Netpol"], "LeafNodeType": "It", "LeafNodeText": name, "State": state,
    });
    if let Some(message) = message {
        spec["Failure"] = json!({"Message": message});
    }
    spec
}

fn plan(names: &[&str]) -> Plan {
    let names = names
        .iter()
        .map(|name| format!("[sig-network] Netpol {name}"));
    Plan {
        specs: names.collect(),
        left_out: vec![("[sig-network] Netpol d".into(), "no SCTP")],
    }
}

fn report(specs: Vec<Value>, plan: &Plan) -> Report {
    let written = json!([{"SpecReports": specs, "SpecialSuiteFailureReasons": null}]);
    Report::of(serde_json::from_value(written).unwrap(), plan)
}

#[test]
fn every_spec_of_the_plan_is_counted_once_and_others_not_at_all() {
    let plan = plan(&["a", "b", "c", "e"]);
    let report = report(
        vec![
            spec("a", "passed", None),
            spec("b", "failed", Some("timed out\nlong story")),
            spec("c", "skipped", Some("needs IPv6")),
            spec("d", "skipped", None),
            spec("e", "skipped", None),
            spec("other", "passed", None),
        ],
        &plan,
    );
    assert_eq!(report.passed, 1);
    assert_eq!(
        report.failed,
        [("[sig-network] Netpol b".to_owned(), "timed out".to_owned())]
    );
    assert_eq!(report.skipped.len(), 1);
    assert_eq!(
        report.unreached,
        BTreeSet::from(["[sig-network] Netpol e".to_owned()])
    );
    assert_eq!(
        report.complaint().unwrap(),
        "1 specs failed; 1 were not reached"
    );
    let table = report.table(&plan);
    assert!(table.contains("run             2"), "{table}");
    assert!(table.contains("left out        1  no SCTP"), "{table}");
}

#[test]
fn a_run_that_broke_before_its_first_spec_is_no_success() {
    let plan = plan(&["a"]);
    let report = report(
        vec![
            json!({"LeafNodeType": "SynchronizedBeforeSuite", "LeafNodeText": "", "State": "failed",
            "ContainerHierarchyTexts": null, "Failure": {"Message": "no nodes"}}),
            spec("a", "skipped", None),
        ],
        &plan,
    );
    assert_eq!(
        report.complaint().unwrap(),
        "1 were not reached; SynchronizedBeforeSuite: no nodes"
    );
}

#[test]
fn a_run_in_which_everything_was_skipped_is_no_success() {
    let plan = plan(&["a"]);
    let report = report(vec![spec("a", "skipped", Some("needs IPv6"))], &plan);
    assert_eq!(report.complaint().unwrap(), "no spec ran");
}

#[test]
fn a_run_in_which_all_passed_is_one() {
    let plan = plan(&["a"]);
    let report = report(vec![spec("a", "passed", None)], &plan);
    assert_eq!(report.complaint(), None);
}
