//! The network configuration on standard input: CNI specification 1.1, section 1.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::environment::{Verb, is_identifier};
use crate::error::Failure;
use crate::version::Version;

/// Where the agent listens unless the configuration says otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/cilium/cilium.sock";
/// A runtime writes a few kilobytes; more is not a network configuration.
pub const INPUT_MAX: usize = 4 << 20;

#[derive(Debug)]
pub struct NetConf {
    pub version: Version,
    pub name: String,
    pub agent_socket: PathBuf,
    pub prev_result: Option<Value>,
    /// Present only in GC.
    pub valid_attachments: Option<Vec<ValidAttachment>>,
}

/// An attachment the runtime still knows; everything else may be freed.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub struct ValidAttachment {
    #[serde(rename = "containerID")]
    pub container_id: String,
    pub ifname: String,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "cniVersion", default)]
    cni_version: String,
    #[serde(default)]
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(rename = "prevResult")]
    prev_result: Option<Value>,
    #[serde(default)]
    ipam: Ipam,
    #[serde(rename = "chaining-mode", default)]
    chaining_mode: String,
    #[serde(rename = "agent-socket")]
    agent_socket: Option<PathBuf>,
    #[serde(rename = "cni.dev/valid-attachments")]
    valid_attachments: Option<Vec<ValidAttachment>>,
    #[serde(rename = "cni.dev/attachments")]
    attachments: Option<Vec<ValidAttachment>>,
}

#[derive(Deserialize, Default)]
struct Ipam {
    #[serde(rename = "type", default)]
    kind: String,
}

/// # Errors
/// Code 6 for what is not JSON of the right shape, 1 for a version we do not speak, 2 for a feature
/// we do not have, 7 for values that make no sense.
pub fn parse(input: &[u8], verb: Verb) -> Result<NetConf, Failure> {
    let document: Document = serde_json::from_slice(input).map_err(Failure::Decode)?;
    let version = Version::parse(&document.cni_version)?;
    check_verb(verb, version)?;
    check_fields(&document, verb)?;
    Ok(NetConf {
        version,
        name: document.name,
        agent_socket: document
            .agent_socket
            .unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET)),
        prev_result: document.prev_result,
        valid_attachments: document.valid_attachments.or(document.attachments),
    })
}

/// The version to answer an unreadable configuration with.
pub fn version_of(input: &[u8]) -> Version {
    serde_json::from_slice::<Document>(input)
        .ok()
        .and_then(|document| Version::parse(&document.cni_version).ok())
        .unwrap_or(Version::NEWEST)
}

fn check_verb(verb: Verb, version: Version) -> Result<(), Failure> {
    let (name, needed) = match verb {
        Verb::Check => ("CHECK", Version::V0_4_0),
        Verb::Status => ("STATUS", Version::V1_1_0),
        Verb::Gc => ("GC", Version::V1_1_0),
        Verb::Add | Verb::Del | Verb::Version => return Ok(()),
    };
    if version >= needed {
        return Ok(());
    }
    Err(Failure::VerbTooNew {
        verb: name,
        needed: needed.as_str(),
        got: version.as_str(),
    })
}

fn check_fields(document: &Document, verb: Verb) -> Result<(), Failure> {
    let invalid = |text: &str| Err(Failure::InvalidConfig(text.to_owned()));
    if !is_identifier(&document.name) {
        return invalid(
            "\"name\" must start with a letter or digit and hold only letters, digits, '_', '.' and '-'",
        );
    }
    if document.kind.is_empty() {
        return invalid("\"type\" is missing; it names the plugin, cilium-cni");
    }
    if !matches!(document.chaining_mode.as_str(), "" | "none") {
        return Err(Failure::UnsupportedField {
            field: "chaining-mode",
            cure: "remove it: cilium-cni has to be the first and main plugin",
        });
    }
    if !document.ipam.kind.is_empty() {
        return Err(Failure::UnsupportedField {
            field: "ipam.type",
            cure: "remove it: the Cilium agent hands out the addresses",
        });
    }
    if document
        .agent_socket
        .as_ref()
        .is_some_and(|path| !path.is_absolute())
    {
        return invalid("\"agent-socket\" must be an absolute path");
    }
    match verb {
        Verb::Add if document.prev_result.is_some() => Err(Failure::UnsupportedField {
            field: "prevResult",
            cure: "put cilium-cni first in the plugin list: it cannot be chained behind another plugin",
        }),
        Verb::Check if document.prev_result.is_none() => {
            invalid("CHECK needs \"prevResult\", the result of the ADD")
        }
        Verb::Gc if document.valid_attachments.is_none() && document.attachments.is_none() => {
            // An absent list means "not told", never "nothing is valid": freeing everything would cut running pods off.
            invalid("GC needs \"cni.dev/valid-attachments\"")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
