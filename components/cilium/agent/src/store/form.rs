//! What a state file says, by its version. One without a number is of version 0: as agents wrote them before there were any.
//!
//! Whoever changes a form adds a step, and a fixture in `fixtures`; a release reads what all before it wrote.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::NodeState;
use crate::endpoint::Endpoint;

const VERSION: &str = "version";

/// From one version to the next. What it does not understand it leaves, for the reader to refuse.
pub type Step = fn(Value) -> Value;

/// One kind of file.
pub trait Form {
    /// From version 0 on. The present version is how many there are.
    const STEPS: &'static [Step];
}

impl Form for NodeState {
    const STEPS: &'static [Step] = &[as_it_is];
}

impl Form for Endpoint {
    const STEPS: &'static [Step] = &[with_policy];
}

/// Numbers of the prefixes that policies name.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Prefixes {
    pub prefixes: BTreeMap<Ipv4Net, u32>,
}

impl Form for Prefixes {
    const STEPS: &'static [Step] = &[under_their_name];
}

/// Of forms that were only given a number.
pub fn as_it_is(state: Value) -> Value {
    state
}

/// The first agents had no policies. Number 0: none yet, and nothing passes.
fn with_policy(mut state: Value) -> Value {
    if let Value::Object(fields) = &mut state {
        fields.entry("policy").or_insert_with(|| 0.into());
    }
    state
}

/// The file was nothing but the prefixes, with no place for a version.
fn under_their_name(state: Value) -> Value {
    serde_json::json!({ "prefixes": state })
}

/// What is to be written of a state.
pub(super) fn envelope<T: Form + Serialize>(state: &T) -> serde_json::Result<Value> {
    let mut file = serde_json::to_value(state)?;
    if let Value::Object(fields) = &mut file {
        fields.insert(VERSION.to_owned(), T::STEPS.len().into());
    }
    Ok(file)
}

/// The version of what was read, taken out of it; `None`: it is no number.
pub(super) fn take_version(file: &mut Value) -> Option<usize> {
    let said = match file {
        Value::Object(fields) => fields.remove(VERSION),
        _ => None,
    };
    match said {
        None => Some(0),
        Some(version) => usize::try_from(version.as_u64()?).ok(),
    }
}
