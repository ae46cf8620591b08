use std::io;
use std::path::PathBuf;

use netlink_packet_core::DecodeError;

/// Why the network could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The namespace file is missing or is no network namespace.
    #[error("cannot enter network namespace {path}")]
    Namespace {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No netlink socket could be had.
    #[error("cannot open a netlink socket")]
    Socket(#[source] io::Error),
    /// The kernel refused.
    #[error("cannot {operation}")]
    Request {
        /// What was asked, with the object's name.
        operation: String,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("cannot read the kernel's answer about: {operation}")]
    Answer {
        /// What was asked.
        operation: String,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// An interface that must be there is not.
    #[error("interface {0} does not exist")]
    NoLink(String),
}

impl Error {
    /// The kernel's error number, where the kernel refused: what a caller branches on (`EEXIST`, `ENODEV`).
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Request { source, .. }
            | Self::Namespace { source, .. }
            | Self::Socket(source) => source.raw_os_error(),
            Self::Answer { .. } | Self::NoLink(_) => None,
        }
    }
}
