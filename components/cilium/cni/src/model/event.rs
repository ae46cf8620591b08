//! `GET /v1/gloonet/monitor`: what the kernel programs tell of packets, one JSON object a line.

use serde::{Deserialize, Serialize};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// So many events did not reach this reader, because it or the agent was too slow.
    Lost {
        lost: u64,
    },
    Event(Box<Event>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Drop,
    Trace,
    PolicyVerdict,
}

/// As seen by the endpoint, or without one by the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    Ingress,
    Egress,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Event {
    #[serde(rename = "type")]
    pub kind: Kind,
    /// RFC 3339, UTC.
    pub time: String,
    /// Of a drop and a verdict Cilium's number of the reason (0: allowed), of a trace that of the observation point.
    pub code: u8,
    /// The words for `code`.
    pub text: String,
    pub direction: Way,
    /// 0: none.
    pub endpoint: u16,
    pub source_identity: u32,
    pub destination_identity: u32,
    pub match_type: u8,
    pub cookie: u32,
    /// The policies `cookie` stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
    pub is_reply: bool,
    /// The packet begins a connection.
    pub is_new: bool,
    pub ifindex: u32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub interface: String,
    /// Of the packet with its Ethernet header.
    pub length: u32,
    /// The first bytes of it, hexadecimal.
    pub packet: String,
}
