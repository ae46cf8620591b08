use gloonet_api::grafana::GrafanaMode;
use gloonet_api::redis::RedisMode;
use gloonet_api::{MESH_NAMESPACE, OPERATOR_NAMESPACE};

use gloo_api::names::{TELEMETRY_KEY, TELEMETRY_TOKEN};

use super::redis::RedisUser;
use super::relay;
use crate::{Input, KeyUsage, SecretKind, SecretName, SecretSpec};

/// The operator's certificate authority; its key never leaves the operator's namespace.
pub(crate) const CA: &str = "gloonet-ca";
/// Server certificate of the gateway, under the name Gloo users bring their own in.
pub(crate) const GATEWAY_TLS: &str = "gloo-telemetry-gateway-tls-secret";
/// Client certificate of this cluster's collectors.
pub(crate) const COLLECTOR_TLS: &str = "gloo-telemetry-collector-tls-secret";
/// Server certificate of this cluster's collectors, for what in the cluster sends to them.
pub(crate) const COLLECTOR_SERVER_TLS: &str = "gloo-telemetry-collector-server-tls-secret";
/// The name the collectors are verified by.
pub(crate) const COLLECTOR_SERVER: &str = "gloo-telemetry-collector.gloo-mesh";
/// Client certificate of the analyzer.
pub(crate) const ANALYZER_TLS: &str = "gloo-mesh-analyzer-tls-secret";
/// Administrator of the managed Grafana.
pub(crate) const GRAFANA_ADMIN: &str = "grafana-admin";
/// The name collectors verify the gateway by.
pub(crate) const GATEWAY_SERVER: &str = "gloo-telemetry-gateway.gloo-mesh";

pub(super) const CA_DAYS: u32 = 3650;
pub(super) const LEAF_DAYS: u32 = 90;
pub(super) const PASSWORD_LENGTH: usize = 32;

pub(crate) fn all(input: &Input) -> Vec<SecretSpec> {
    let mut secrets = Vec::new();
    if input.gateway() || input.hubble() || input.collectors() {
        secrets.push(secret(
            OPERATOR_NAMESPACE,
            CA,
            SecretKind::Ca {
                common_name: "GlooNetwork CA".to_owned(),
                days: CA_DAYS,
            },
        ));
    }
    if input.hubble() {
        secrets.extend(hubble(input));
    }
    if input.hubble_relay() {
        secrets.extend(hubble_relay());
    }
    secrets.extend(telemetry(input));
    if input.manages() && input.spec.redis.mode == RedisMode::Managed {
        secrets.extend(RedisUser::ALL.map(RedisUser::spec));
    }
    if input.manages() && input.spec.grafana.mode == GrafanaMode::Managed {
        let kind = SecretKind::Password {
            username: "admin".to_owned(),
            length: PASSWORD_LENGTH,
        };
        secrets.push(secret(MESH_NAMESPACE, GRAFANA_ADMIN, kind));
    }
    secrets.extend(relay::all(input));
    secrets
}

/// What gateway, collectors and analyzer prove themselves by.
fn telemetry(input: &Input) -> Vec<SecretSpec> {
    let mut secrets = Vec::new();
    if input.gateway() {
        secrets.push(secret(MESH_NAMESPACE, GATEWAY_TLS, server(GATEWAY_SERVER)));
    }
    if input.collectors() && input.gateway() {
        let name = input.cluster_name();
        secrets.push(secret(
            MESH_NAMESPACE,
            COLLECTOR_TLS,
            leaf(name, vec![name.to_owned()], KeyUsage::ClientAuth),
        ));
    }
    if input.collectors() {
        secrets.push(secret(
            MESH_NAMESPACE,
            COLLECTOR_SERVER_TLS,
            server(COLLECTOR_SERVER),
        ));
    }
    // The agent fills it with what the management server gives for it.
    if input.collectors_need_token() {
        secrets.push(secret(MESH_NAMESPACE, TELEMETRY_TOKEN, SecretKind::Vessel));
    }
    if input.telemetry_tokens() {
        secrets.push(secret(MESH_NAMESPACE, TELEMETRY_KEY, SecretKind::TokenKey));
    }
    if input.analyzer() {
        let name = "analyzer";
        let kind = leaf(name, vec![name.to_owned()], KeyUsage::ClientAuth);
        secrets.push(secret(MESH_NAMESPACE, ANALYZER_TLS, kind));
    }
    secrets
}

/// One certificate for the agents of a cluster, as upstream's: a client verifies `<node>.<cluster>.hubble-grpc.cilium.io`.
/// And one for whoever may read their flows.
fn hubble(input: &Input) -> [SecretSpec; 2] {
    let name = format!(
        "*.{}.{}",
        input.cluster_name(),
        cilium_api::names::HUBBLE_DOMAIN
    );
    let client = cilium_api::names::HUBBLE_CLIENT;
    [
        secret(
            cilium_api::names::NAMESPACE,
            cilium_api::names::HUBBLE_SERVER_CERTS,
            leaf(&name, vec![name.clone()], KeyUsage::ServerAuth),
        ),
        secret(
            MESH_NAMESPACE,
            cilium_api::names::HUBBLE_CLIENT_CERTS,
            leaf(client, vec![client.to_owned()], KeyUsage::ClientAuth),
        ),
    ]
}

/// What the relay asks agents with, and what it serves with: under its Service's names and under the one that upstream's clients
/// verify any relay by.
fn hubble_relay() -> [SecretSpec; 2] {
    use cilium_api::names::{
        HUBBLE_CLIENT, HUBBLE_CLIENT_CERTS, HUBBLE_RELAY, HUBBLE_RELAY_DOMAIN,
        HUBBLE_RELAY_SERVER_CERTS, NAMESPACE,
    };
    let service = format!("{HUBBLE_RELAY}.{NAMESPACE}");
    let mut names = ["", ".svc", ".svc.cluster.local"]
        .map(|suffix| format!("{service}{suffix}"))
        .to_vec();
    names.push(format!("*.{HUBBLE_RELAY_DOMAIN}"));
    let client = vec![HUBBLE_CLIENT.to_owned()];
    [
        secret(
            NAMESPACE,
            HUBBLE_CLIENT_CERTS,
            leaf(HUBBLE_CLIENT, client, KeyUsage::ClientAuth),
        ),
        secret(
            NAMESPACE,
            HUBBLE_RELAY_SERVER_CERTS,
            leaf(&service, names, KeyUsage::ServerAuth),
        ),
    ]
}

pub(super) fn secret(namespace: &str, name: &str, kind: SecretKind) -> SecretSpec {
    SecretSpec {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        kind,
    }
}

/// Of a Service, under each name it is called by.
fn server(name: &str) -> SecretKind {
    let names = ["", ".svc", ".svc.cluster.local"].map(|suffix| format!("{name}{suffix}"));
    leaf(name, names.to_vec(), KeyUsage::ServerAuth)
}

fn leaf(common_name: &str, dns_names: Vec<String>, usage: KeyUsage) -> SecretKind {
    SecretKind::Leaf {
        ca: SecretName::new(OPERATOR_NAMESPACE, CA),
        common_name: common_name.to_owned(),
        dns_names,
        usages: vec![usage],
        days: LEAF_DAYS,
    }
}
