//! Secrets of the relay between management server and agents.
//!
//! The relay has an authority of its own: its key is in the server's hands, and must open nothing but the relay.

use gloonet_api::MESH_NAMESPACE;

use super::secrets::{CA_DAYS, LEAF_DAYS, secret};
use crate::{Input, KeyUsage, SecretKind, SecretName, SecretSpec};
use gloo_api::names::{
    CLIENT_TLS, RELAY_AUTHORITY, ROOT, SERVER_TLS, SIGNING, STORE_KEY, TOKEN, TOKENS,
};

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
        secrets.push(mesh(SIGNING, authority));
        secrets.push(mesh(TOKENS, SecretKind::Vessel));
        secrets.push(mesh(STORE_KEY, key));
    }
    if input.management_server() {
        secrets.push(mesh(SERVER_TLS, server()));
        // In a cluster of role Workload this one, and the token, come with its registration.
        secrets.push(mesh(ROOT, SecretKind::Root { ca: authority() }));
    }
    if input.gloo_agent() {
        secrets.push(mesh(CLIENT_TLS, SecretKind::Vessel));
    }
    // Validation has seen to it that the name is one.
    if let (true, true, Ok(cluster)) = (
        input.gloo_agent(),
        input.management_server(),
        input.cluster_name().parse(),
    ) {
        let token = SecretKind::Token {
            cluster,
            records: SecretName::new(MESH_NAMESPACE, TOKENS),
            certificate: SecretName::new(MESH_NAMESPACE, CLIENT_TLS),
            root: SecretName::new(MESH_NAMESPACE, ROOT),
        };
        secrets.push(mesh(TOKEN, token));
    }
    secrets
}

fn authority() -> SecretName {
    SecretName::new(MESH_NAMESPACE, SIGNING)
}

fn server() -> SecretKind {
    SecretKind::Leaf {
        ca: authority(),
        common_name: RELAY_AUTHORITY.to_owned(),
        dns_names: ["", ".svc", ".svc.cluster.local"]
            .map(|suffix| format!("{RELAY_AUTHORITY}{suffix}"))
            .to_vec(),
        usages: vec![KeyUsage::ServerAuth],
        days: LEAF_DAYS,
    }
}
