//! How a cluster's agent comes to its certificate, and how it keeps one.
//!
//! A token is made for one cluster, works once and within the hour, and is bound to the cluster's UID by its use; what is
//! stored of it is a hash. With it the agent sends a public key. Every field of the certificate is the server's; the request
//! decides only whose key is in it. Renewal needs the certificate it follows. Revocation raises the cluster's epoch: older
//! certificates are refused from then on.

mod signer;
mod verdict;

pub use signer::{CSR_BYTES, LONGEST_LIFE, Signed, Signer, SignerError};
pub use verdict::{EnrolError, verify};

#[cfg(test)]
mod tests;
