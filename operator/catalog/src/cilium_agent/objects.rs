use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cilium_api::names::{CLUSTER_HEALTH_PORT, CLUSTER_HEALTH_SERVICE};
use gloonet_api::cilium::{Algorithm, Mtu, RoutingMode};
use kube_core::DynamicObject;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{WORKLOAD, daemonset, rbac};
use crate::collectors::flows::READERS;
use crate::object::{Builder, digest};
use crate::{ComponentId, Input, RenderError};

const ADMISSION: &str = "admissionregistration.k8s.io/v1";

pub(super) fn all(input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
    let builder = Builder::new(ComponentId::CiliumAgent, cilium_api::names::NAMESPACE);
    let mut objects = Vec::new();
    // Before the rights they limit.
    for admission in cilium_api::admission::policies() {
        objects.push(builder.typed((ADMISSION, "ValidatingAdmissionPolicy"), &admission.policy)?);
        objects.push(builder.typed(
            (ADMISSION, "ValidatingAdmissionPolicyBinding"),
            &admission.binding,
        )?);
    }
    objects.extend(rbac::all(&builder)?);
    let config = config(input);
    let digest = digest(&[&config.to_string()]);
    objects.push(builder.namespaced(
        ("v1", "ConfigMap"),
        cilium_api::names::CONFIG_MAP,
        json!({"data": config}),
    )?);
    objects.push(health(&builder)?);
    objects.push(daemonset::daemonset(&builder, input, &digest)?);
    Ok(objects)
}

/// In front of all agents that are ready: who reaches one by it reaches Services, and the node of whichever answers.
fn health(builder: &Builder) -> Result<DynamicObject, RenderError> {
    let spec = json!({
        "type": "ClusterIP",
        "selector": {WORKLOAD.pod_label.0: WORKLOAD.pod_label.1},
        "ports": [{"name": "health", "port": CLUSTER_HEALTH_PORT, "targetPort": CLUSTER_HEALTH_PORT, "protocol": "TCP"}],
    });
    builder.namespaced(
        ("v1", "Service"),
        CLUSTER_HEALTH_SERVICE,
        json!({"spec": spec}),
    )
}

/// The keys of upstream's ConfigMap `cilium-config` that this agent reads or that tools look at.
fn config(input: &Input) -> serde_json::Value {
    let cilium = &input.spec.cilium;
    let pool: Vec<String> = input.pool.iter().map(ToString::to_string).collect();
    let mtu = match cilium.routing.mtu {
        Mtu::Auto => 0,
        Mtu::Bytes(bytes) => bytes,
    };
    let mut config = json!({
        "agent-health-port": cilium_api::names::AGENT_HEALTH_PORT.to_string(),
        "cluster-name": input.cluster_name(),
        "cluster-pool-ipv4-cidr": pool.join(" "),
        "cluster-pool-ipv4-mask-size": cilium.ipam.mask_size.to_string(),
        "cni-exclusive": "true",
        "debug": "false",
        "devices": "",
        "enable-health-checking": "true",
        "enable-ipv4": "true",
        "enable-ipv4-masquerade": "true",
        "enable-ipv6": "false",
        "identity-allocation-mode": "crd",
        "ipam": "cluster-pool",
        "kube-proxy-replacement": cilium.kube_proxy_replacement.is_enabled().to_string(),
        "mtu": mtu.to_string(),
        "prometheus-serve-addr": format!(":{}", cilium_api::names::AGENT_METRICS_PORT),
        "routing-mode": "tunnel",
        "tunnel-port": cilium_api::names::TUNNEL_PORT.to_string(),
        "tunnel-protocol": "vxlan",
    });
    if cilium.kube_proxy_replacement.is_enabled() {
        config["kube-proxy-replacement-healthz-bind-address"] =
            json!(format!(":{}", cilium_api::names::SERVICE_HEALTH_PORT));
    }
    if cilium.routing.mode == RoutingMode::Native {
        native_routing(&mut config);
    }
    load_balancer(&mut config, input);
    hubble(&mut config, input);
    config
}

/// Upstream's keys. The tunnel's stay: until the last node has changed, no pod may send to its port.
fn native_routing(config: &mut serde_json::Value) {
    config["routing-mode"] = json!("native");
    config["auto-direct-node-routes"] = json!("true");
    config["ipv4-native-routing-cidr"] = config["cluster-pool-ipv4-cidr"].clone();
}

/// Upstream's keys.
fn load_balancer(config: &mut serde_json::Value, input: &Input) {
    let chosen = input.spec.cilium.load_balancer;
    if chosen.algorithm == Algorithm::Random {
        config["bpf-lb-algorithm"] = json!("random");
        return;
    }
    config["bpf-lb-algorithm"] = json!("maglev");
    config["bpf-lb-maglev-table-size"] = json!(chosen.maglev_table_size.to_string());
    config["bpf-lb-maglev-hash-seed"] = json!(maglev_seed(input));
}

/// The same for as long as the GlooNetwork lives, another one in every cluster; who cannot read objects of the cluster cannot
/// compute which endpoint a connection meets.
fn maglev_seed(input: &Input) -> String {
    let hash = Sha256::new()
        .chain_update("maglev\0")
        .chain_update(input.cluster_name())
        .chain_update("\0")
        .chain_update(&input.uid)
        .finalize();
    // As long as upstream's.
    STANDARD.encode(&hash[..12])
}

/// Upstream's keys; the files are the Secret's, which the agent reads anew when they change.
fn hubble(config: &mut serde_json::Value, input: &Input) {
    config["enable-hubble"] = json!(input.hubble().to_string());
    if !input.hubble() {
        return;
    }
    let folder = cilium_api::names::HUBBLE_TLS_DIR;
    config["hubble-socket-path"] = json!(cilium_api::names::HUBBLE_SOCKET);
    config["hubble-listen-address"] = json!(format!(":{}", cilium_api::names::HUBBLE_PORT));
    config["hubble-event-buffer-capacity"] =
        json!(input.spec.cilium.hubble.flow_buffer.to_string());
    // Served where the agent's own are: one listener less than upstream's :9965.
    config["hubble-metrics"] = json!(input.spec.cilium.hubble.metrics.join(" "));
    config["hubble-disable-tls"] = json!("false");
    config["hubble-tls-cert-file"] = json!(format!("{folder}/tls.crt"));
    config["hubble-tls-key-file"] = json!(format!("{folder}/tls.key"));
    config["hubble-tls-client-ca-files"] = json!(format!("{folder}/ca.crt"));
    if input.flows() {
        flows(config);
    }
}

/// Upstream's keys, and its defaults written out: 60 MiB of a node's disk at most. The group is our own key.
fn flows(config: &mut serde_json::Value) {
    let (folder, file) = (
        cilium_api::names::HUBBLE_EXPORT_DIR,
        cilium_api::names::HUBBLE_EXPORT_FILE,
    );
    config["hubble-export-file-path"] = json!(format!("{folder}/{file}"));
    config["hubble-export-file-max-size-mb"] = json!("10");
    config["hubble-export-file-max-backups"] = json!("5");
    config["hubble-export-file-group"] = json!(READERS.to_string());
}
