//! `GET /v1/identity[/{id}]`: numbers and the labels they stand for.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub id: u32,
    /// Each `source:key=value`, in order.
    pub labels: Vec<String>,
    #[serde(rename = "labelsSHA256", default)]
    pub labels_sha256: String,
}
