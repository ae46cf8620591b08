use gloo_relay::table::{Changes, Objects};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::{
    metrics,
    push::{
        decide, policies,
        tests::{name, object, registered, shop},
    },
    shared::Shared,
};

/// More than fit into one policy.
const MANY: usize = 20_000;

fn accounts() -> impl Iterator<Item = ObjectKey> {
    let account = |number| ObjectKey::new("v1", "ServiceAccount", "shop", &format!("a{number}"));
    (0..MANY).map(move |number| account(number).unwrap())
}

/// What west is to have, after these changes.
fn desired(state: &mut State, changes: &Changes) -> Objects {
    state.observe(&name("west"), changes);
    assert!(state.settle().contains(&name("west")));
    decide(state, &name("west"), Timestamp::UNIX_EPOCH);
    state.clusters[&name("west")].desired.clone().unwrap()
}

fn verdict(desired: &Objects) -> (String, String) {
    let key = ObjectKey::new("admin.gloo.solo.io/v2", "WorkspaceSettings", "shop", "shop");
    let status: Value = serde_json::from_slice(&desired[&key.unwrap()]).unwrap();
    let state = &status["status"]["common"]["State"];
    let text = |field: &str| state[field].as_str().unwrap_or_default().to_owned();
    (text("approval"), text("message"))
}

#[test]
fn a_policy_that_is_too_large_is_said_at_the_resource_it_comes_from_and_the_last_one_stays() {
    let mut state = State::new(name("west"), true);
    state.register(&name("west"), Some(registered()));
    let before = desired(&mut state, &shop(1));
    assert_eq!(verdict(&before).0, "ACCEPTED");
    let many = Changes {
        upserts: accounts()
            .map(|key| {
                let (_, bytes) = object("ServiceAccount", "v1", "shop", key.name(), json!({}));
                (key, bytes)
            })
            .collect(),
        deletes: Vec::new(),
    };
    let after = desired(&mut state, &many);
    let (approval, message) = verdict(&after);
    assert_eq!(approval, "FAILED");
    for word in ["1 policies would be larger", "west shop/", "fewer accounts"] {
        assert!(message.contains(word), "{message}");
    }
    assert_eq!(policies(&after), policies(&before));
    // Also of a server that has just started, and never made it.
    let mut restarted = State::new(name("west"), true);
    restarted.register(&name("west"), Some(registered()));
    let mut all = shop(1);
    all.upserts.extend(many.upserts.clone());
    all.upserts.extend(policies(&before));
    let said_again = desired(&mut restarted, &all);
    assert_eq!(policies(&said_again), policies(&before));
    let shared = Shared::new(state, "server".to_owned());
    let errors = || {
        let text = metrics::text(&shared).unwrap();
        text.lines()
            .filter(|line| line.starts_with("translation_error{"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(
        errors().concat().contains("WorkspaceSettings"),
        "{:?}",
        errors()
    );
    let gone = Changes {
        upserts: Vec::new(),
        deletes: accounts().collect(),
    };
    let cured = desired(&mut shared.state(), &gone);
    assert_eq!(verdict(&cured), verdict(&before));
    assert_eq!(errors(), Vec::<String>::new());
}
