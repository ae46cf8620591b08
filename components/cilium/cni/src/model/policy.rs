//! `GET /v1/policy` and `GET /v1/policy/selectors`.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// JSON text: every policy in force.
    pub policy: String,
    /// Grows with every change that the datapath of this node has taken in.
    pub revision: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectorMapping {
    pub selector: String,
    /// Those it selects now, in order.
    pub identities: Vec<u32>,
    /// How many rules use it.
    pub users: u64,
    /// Of each policy that uses it, the labels that name it.
    pub labels: Vec<Vec<Label>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub key: String,
    pub source: String,
    pub value: String,
}
