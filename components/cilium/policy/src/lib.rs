//! From network policies to the entries of the datapath's policy maps.
//!
//! Pure: a [`Repository`] is fed objects and answers with what changed in the map of each local endpoint. It knows no
//! client, clock or kernel; equal input gives equal output.
#![forbid(unsafe_code)]

pub mod input;
pub mod key;
pub mod refusal;
pub mod repository;

pub use input::{
    CidrGroupName, NamedPorts, Node, PolicyId, PolicyKind, PolicyRef, Service, ServiceName,
    Subject, SubjectId,
};
pub use key::{Cookie, Direction, Entry, Key, MapState, Verdict};
pub use refusal::Refusal;
pub use repository::{Changes, Options, Refused, Repository, SubjectChanges};
