//! VERSION: which versions of the specification are spoken.

use serde_json::{Value, json};

use crate::netconf;
use crate::version::Version;

/// Never fails: a runtime asks this to learn what it may send.
pub fn version(input: &[u8]) -> Value {
    json!({
        "cniVersion": netconf::version_of(input).as_str(),
        "supportedVersions": Version::ALL.map(Version::as_str),
    })
}
