use gloo_relay::table::Changes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::push::{
    decide,
    tests::{name, object, registered},
};

const GLOO: &str = "admin.gloo.solo.io/v2";

/// A namespace with workload `web`, a workspace over it, and settings in it.
fn workspace(of: &str, options: &Value, imports: &[&str], exports: &[&str]) -> Changes {
    let spec = json!({"spec": {"workloadClusters": [{"name": "*", "namespaces": [{"name": of}]}]}});
    let shares = |names: &[&str]| -> Value {
        let each = names
            .iter()
            .map(|name| json!({"workspaces": [{"name": name}]}));
        each.collect()
    };
    let settings = json!({"spec": {
        "importFrom": shares(imports), "exportTo": shares(exports), "options": options,
    }});
    let service = json!({"spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    let template = json!({"metadata": {"labels": {"app": "web"}}});
    Changes {
        upserts: vec![
            object("Namespace", "v1", of, of, json!({})),
            object("Workspace", GLOO, "gloo-mesh", of, spec),
            object("WorkspaceSettings", GLOO, of, of, settings),
            object("Service", "v1", of, "web", service),
            object(
                "Deployment",
                "apps/v1",
                of,
                "web",
                json!({"spec": {"template": template}}),
            ),
        ],
        deletes: Vec::new(),
    }
}

fn to_shop(namespace: &str, workload: &str, flows: f64) -> Pair {
    let side = |namespace: &str, workload: &str| Side {
        slot: Slot {
            cluster: name("west"),
            namespace: namespace.to_owned(),
        },
        workload: workload.to_owned(),
    };
    Pair {
        source: side(namespace, workload),
        destination: side("shop", "web"),
        flows,
    }
}

/// The list in the status of these settings in `shop`, which are on trial.
fn list(imports: &[&str], exports: &[&str]) -> Vec<String> {
    let mut state = State::new(name("west"), true);
    state.register(&name("west"), Some(registered()));
    let trial = json!({"serviceIsolation": {"enabled": true, "dryRun": true}});
    state.observe(&name("west"), &workspace("shop", &trial, imports, exports));
    let bank = workspace("bank", &json!({}), &["shop"], &[]);
    state.observe(&name("west"), &bank);
    state.flows = Flows::Pairs(vec![
        to_shop("shop", "gone", 90.0),
        to_shop("bank", "gone", 3.0),
        to_shop("hr", "salaries", 5.0),
        to_shop("hr", "layoffs", 2.0),
    ]);
    state.settle();
    decide(&mut state, &name("west"), Timestamp::UNIX_EPOCH);
    let key = ObjectKey::new(GLOO, "WorkspaceSettings", "shop", "shop").unwrap();
    let desired = state.clusters[&name("west")].desired.as_ref().unwrap();
    let status: Value = serde_json::from_slice(&desired[&key]).unwrap();
    serde_json::from_value(status["status"]["wouldDeny"].clone()).unwrap()
}

#[test]
fn a_dry_run_names_no_workload_of_whom_the_workspace_shares_nothing_with_and_counts_them() {
    let own = "west/shop/gone to west/shop/web: 90 flows in 1h";
    let counted = |workloads: usize, flows: usize| {
        format!(
            "{workloads} of others' workloads, whom this workspace shares nothing with, to west/shop/web: {flows} flows in 1h"
        )
    };
    assert_eq!(list(&[], &[]), [own.to_owned(), counted(3, 10)]);
    // That one side says so does not open the other.
    assert_eq!(list(&["*"], &["hr"]), [own.to_owned(), counted(3, 10)]);
}

#[test]
fn a_dry_run_names_workloads_of_workspaces_that_it_shares_with() {
    let list = list(&[], &["bank"]);
    assert_eq!(list.len(), 3, "{list:?}");
    assert_eq!(list[2], "west/bank/gone to west/shop/web: 3 flows in 1h");
    assert!(list[1].starts_with("2 of others' workloads"), "{list:?}");
}
