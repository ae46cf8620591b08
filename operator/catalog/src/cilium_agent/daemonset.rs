//! DaemonSet `cilium`.

use kube_core::DynamicObject;
use serde_json::{Value, json};

use crate::collectors::flows::READERS;
use crate::labels::{CONFIG_DIGEST, PART_OF};
use crate::object::{Builder, from_field, http_probe, image, pull_secrets, requirements};
use crate::{AGENT_NODES, ImageName, Input, RenderError};

const CONFIG_DIR: &str = "/tmp/cilium/config-map";

pub(super) fn daemonset(
    builder: &Builder,
    input: &Input,
    digest: &str,
) -> Result<DynamicObject, RenderError> {
    let rollout = input.spec.cilium.rollout;
    let mut labels = builder.pod_labels("cilium-agent");
    labels["k8s-app"] = json!("cilium");
    labels[PART_OF.0] = json!(PART_OF.1);
    let spec = json!({
        "selector": {"matchLabels": {"k8s-app": "cilium"}},
        "minReadySeconds": rollout.soak_seconds,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": rollout.max_unavailable}},
        "template": {
            "metadata": {"labels": labels, "annotations": {CONFIG_DIGEST: digest}},
            "spec": pod(input),
        },
    });
    let labels = json!({"k8s-app": "cilium"});
    let metadata = json!({"name": cilium_api::names::AGENT, "namespace": cilium_api::names::NAMESPACE, "labels": labels});
    builder.object(("apps/v1", "DaemonSet"), metadata, json!({"spec": spec}))
}

fn pod(input: &Input) -> Value {
    let mut pod = json!({
        "serviceAccountName": cilium_api::names::AGENT,
        "hostNetwork": true,
        "dnsPolicy": "Default",
        "priorityClassName": "system-node-critical",
        "terminationGracePeriodSeconds": 5,
        "tolerations": [{"operator": "Exists"}],
        "nodeSelector": {(AGENT_NODES.0): AGENT_NODES.1},
        "securityContext": {
            "seccompProfile": {"type": "RuntimeDefault"},
            "appArmorProfile": {"type": "Unconfined"},
        },
        "initContainers": [install(input)],
        "containers": [agent(input)],
        "volumes": [
            {"name": "config", "configMap": {"name": cilium_api::names::CONFIG_MAP}},
            host_path("runtime", cilium_api::names::RUNTIME_DIR, "DirectoryOrCreate"),
            host_path("bpffs", cilium_api::names::BPFFS_ROOT, "Directory"),
            host_path("cgroup", "/sys/fs/cgroup", "Directory"),
            host_path("sysctl", "/proc/sys/net", "Directory"),
            host_path("cni-configuration", cilium_api::names::CNI_CONF_DIR, "DirectoryOrCreate"),
            host_path("cni-programs", cilium_api::names::CNI_BIN_DIR, "DirectoryOrCreate"),
        ],
    });
    if input.hubble() {
        show_flows(&mut pod);
    }
    if input.flows() {
        write_flows(&mut pod);
    }
    pull_secrets(&mut pod, &input.images);
    pod
}

/// The folder flows are written to. Root gives files only to a group it is in, without the capability to give them to anybody.
fn write_flows(pod: &mut Value) {
    let folder = cilium_api::names::HUBBLE_EXPORT_DIR;
    pod["securityContext"]["supplementalGroups"] = json!([READERS]);
    if let Some(mounts) = pod["containers"][0]["volumeMounts"].as_array_mut() {
        mounts.push(json!({"name": "flows", "mountPath": folder}));
    }
    if let Some(volumes) = pod["volumes"].as_array_mut() {
        volumes.push(host_path("flows", folder, "DirectoryOrCreate"));
    }
}

/// Hubble's port and certificate. Optional, so that pods get their network also while the certificate is missing.
fn show_flows(pod: &mut Value) {
    let port = cilium_api::names::HUBBLE_PORT;
    let container = &mut pod["containers"][0];
    if let Some(ports) = container["ports"].as_array_mut() {
        ports.push(
            json!({"name": "hubble", "containerPort": port, "hostPort": port, "protocol": "TCP"}),
        );
    }
    if let Some(mounts) = container["volumeMounts"].as_array_mut() {
        mounts.push(json!({"name": "hubble-tls", "mountPath": cilium_api::names::HUBBLE_TLS_DIR, "readOnly": true}));
    }
    if let Some(volumes) = pod["volumes"].as_array_mut() {
        let secret = json!({"secretName": cilium_api::names::HUBBLE_SERVER_CERTS, "optional": true, "defaultMode": 0o400});
        volumes.push(json!({"name": "hubble-tls", "secret": secret}));
    }
}

/// The only process that may write the node's CNI program and configuration; it is gone when the agent runs.
fn install(input: &Input) -> Value {
    let mut container = json!({
        "name": "install-cni-binaries",
        "command": [format!("{}/{}", cilium_api::names::CNI_BIN_DIR, cilium_api::names::CNI_BIN), "install"],
        "args": [
            "--bin-dir=/host/opt/cni/bin",
            "--conf-dir=/host/etc/cni/net.d",
            "--report=/var/run/cilium/cni-install.json",
        ],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "securityContext": security(&["DAC_OVERRIDE"]),
        "volumeMounts": [
            {"name": "cni-programs", "mountPath": "/host/opt/cni/bin"},
            {"name": "cni-configuration", "mountPath": "/host/etc/cni/net.d"},
            {"name": "runtime", "mountPath": cilium_api::names::RUNTIME_DIR},
        ],
    });
    image(&mut container, &input.images, ImageName::CiliumAgent);
    container
}

fn agent(input: &Input) -> Value {
    let mut container = json!({
        "name": cilium_api::names::AGENT_CONTAINER,
        "command": ["/usr/bin/cilium-agent"],
        "args": [format!("--config-dir={CONFIG_DIR}")],
        "env": environment(input),
        "ports": [
            {"name": "health", "containerPort": cilium_api::names::AGENT_HEALTH_PORT, "hostPort": cilium_api::names::AGENT_HEALTH_PORT, "protocol": "TCP"},
            {"name": "prometheus", "containerPort": cilium_api::names::AGENT_METRICS_PORT, "hostPort": cilium_api::names::AGENT_METRICS_PORT, "protocol": "TCP"},
        ],
        "startupProbe": brief(2, 60),
        "livenessProbe": brief(30, 5),
        "readinessProbe": http_probe("/healthz", "health", 5, 3),
        "resources": requirements(&input.spec.cilium.resources),
        "securityContext": security(&["BPF", "DAC_OVERRIDE", "NET_ADMIN", "NET_RAW", "PERFMON", "SYS_ADMIN"]),
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_DIR, "readOnly": true},
            {"name": "runtime", "mountPath": cilium_api::names::RUNTIME_DIR},
            {"name": "bpffs", "mountPath": cilium_api::names::BPFFS_ROOT, "mountPropagation": "HostToContainer"},
            {"name": "cgroup", "mountPath": "/host/sys/fs/cgroup", "mountPropagation": "HostToContainer", "readOnly": true},
            {"name": "sysctl", "mountPath": "/host/proc/sys/net"},
            {"name": "cni-configuration", "mountPath": "/host/etc/cni/net.d", "readOnly": true},
        ],
    });
    image(&mut container, &input.images, ImageName::CiliumAgent);
    container
}

/// Alive means: socket and datapath serve. A lost API server must never kill an agent, hence the header.
fn brief(period: u32, failures: u32) -> Value {
    let mut probe = http_probe("/healthz", "health", period, failures);
    probe["httpGet"]["httpHeaders"] = json!([{"name": "brief", "value": "true"}]);
    probe
}

fn environment(input: &Input) -> Value {
    json!([
        from_field("K8S_NODE_NAME", "spec.nodeName"),
        from_field("K8S_NODE_IP", "status.hostIP"),
        from_field("CILIUM_K8S_NAMESPACE", "metadata.namespace"),
        from_field("POD_NAME", "metadata.name"),
        from_field("POD_UID", "metadata.uid"),
        {"name": "KUBERNETES_SERVICE_HOST", "value": input.api_server.host},
        {"name": "KUBERNETES_SERVICE_PORT", "value": input.api_server.port.to_string()},
        // Passes over all policies run on whichever thread is free. With an arena for each of them, glibc keeps several times
        // what is in use; and without a fixed threshold it gives back less and less.
        {"name": "MALLOC_ARENA_MAX", "value": "2"},
        {"name": "MALLOC_TRIM_THRESHOLD_", "value": "262144"},
    ])
}

fn host_path(name: &str, path: &str, kind: &str) -> Value {
    json!({"name": name, "hostPath": {"path": path, "type": kind}})
}

/// Root with named capabilities and nothing else. NET_RAW is for the echo requests of cluster health, and gives nothing that
/// NET_ADMIN with BPF does not: programs on a device send what they like. SYS_RESOURCE is not among them: kernels since 5.11 account BPF memory by cgroup.
fn security(capabilities: &[&str]) -> Value {
    json!({
        "runAsUser": 0, "runAsGroup": 0, "runAsNonRoot": false,
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "privileged": false,
        "capabilities": {"drop": ["ALL"], "add": capabilities},
        "seLinuxOptions": {"level": "s0", "type": "spc_t"},
    })
}
