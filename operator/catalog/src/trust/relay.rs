//! Secrets of the relay between management server and agents.
//!
//! The relay has an authority of its own: its key is in the server's hands, and must open nothing but the relay.

use gloonet_api::MESH_NAMESPACE;

use super::secrets::{CA_DAYS, LEAF_DAYS, secret};
use crate::gloo_names::{
    CLIENT_SECRET, RECORDS_SECRET, ROOT_SECRET, SERVER_AUTHORITY, SERVER_SECRET, SIGNING_SECRET,
    STORE_KEY_SECRET, TOKEN_SECRET,
};
use crate::{Input, KeyUsage, SecretKind, SecretName, SecretSpec};

/// Bytes of a ChaCha20-Poly1305 key.
const STORE_KEY_LENGTH: usize = 32;

pub(super) fn all(input: &Input) -> Vec<SecretSpec> {
    let mesh = |name, kind| secret(MESH_NAMESPACE, name, kind);
    let mut secrets = Vec::new();
    if input.manages() {
        // Also while the server is Removed: without these three every cluster would have to be registered anew.
        let authority = SecretKind::Ca {
            common_name: "GlooNetwork relay CA".to_owned(),
            days: CA_DAYS,
        };
        let key = SecretKind::Key {
            length: STORE_KEY_LENGTH,
        };
        secrets.push(mesh(SIGNING_SECRET, authority));
        secrets.push(mesh(RECORDS_SECRET, SecretKind::Vessel));
        secrets.push(mesh(STORE_KEY_SECRET, key));
    }
    if input.management_server() {
        secrets.push(mesh(SERVER_SECRET, server()));
        // In a cluster of role Workload this one, and the token, come with its registration.
        secrets.push(mesh(ROOT_SECRET, SecretKind::Root { ca: authority() }));
    }
    if input.gloo_agent() {
        secrets.push(mesh(CLIENT_SECRET, SecretKind::Vessel));
    }
    if input.gloo_agent() && input.management_server() {
        let token = SecretKind::Token {
            cluster: input.cluster_name().to_owned(),
            records: SecretName::new(MESH_NAMESPACE, RECORDS_SECRET),
            certificate: SecretName::new(MESH_NAMESPACE, CLIENT_SECRET),
        };
        secrets.push(mesh(TOKEN_SECRET, token));
    }
    secrets
}

fn authority() -> SecretName {
    SecretName::new(MESH_NAMESPACE, SIGNING_SECRET)
}

fn server() -> SecretKind {
    SecretKind::Leaf {
        ca: authority(),
        common_name: SERVER_AUTHORITY.to_owned(),
        dns_names: ["", ".svc", ".svc.cluster.local"]
            .map(|suffix| format!("{SERVER_AUTHORITY}{suffix}"))
            .to_vec(),
        usages: vec![KeyUsage::ServerAuth],
        days: LEAF_DAYS,
    }
}
