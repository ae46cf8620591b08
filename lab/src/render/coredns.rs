use std::net::Ipv4Addr;

use serde_json::{Value, json};

use crate::addressing::CLUSTER_DNS;

const COREFILE: &str = "\
.:53 {
    errors
    health
    ready
    kubernetes cluster.local in-addr.arpa {
        pods insecure
        fallthrough in-addr.arpa
        ttl 30
    }
    prometheus :9153
    cache 30
    reload
    loadbalance
}
";

/// CoreDNS as kubeadm installs it, less the forwarding: beyond the cluster there is no DNS server.
///
/// `api_server` is for clusters in which nothing serves ClusterIPs; elsewhere CoreDNS takes the `kubernetes` Service.
pub fn manifests(image: &str, api_server: Option<(Ipv4Addr, u16)>) -> String {
    let items = json!([
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("coredns")},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("coredns"), "data": {"Corefile": COREFILE}},
        cluster_role(),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": "system:coredns"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
            "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}],
        },
        service(),
        deployment(image, api_server),
    ]);
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn meta(name: &str) -> Value {
    json!({"name": name, "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}})
}

fn cluster_role() -> Value {
    let read = json!(["list", "watch"]);
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": read},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
        ],
    })
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta("kube-dns"),
        "spec": {
            "clusterIP": CLUSTER_DNS,
            "selector": {"k8s-app": "kube-dns"},
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                {"name": "metrics", "port": 9153, "protocol": "TCP"},
            ],
        },
    })
}

fn deployment(image: &str, api_server: Option<(Ipv4Addr, u16)>) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta("coredns"),
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "template": {
                "metadata": {"labels": {"k8s-app": "kube-dns"}},
                "spec": {
                    "serviceAccountName": "coredns",
                    "priorityClassName": "system-cluster-critical",
                    "tolerations": [
                        {"key": "CriticalAddonsOnly", "operator": "Exists"},
                        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
                    ],
                    "dnsPolicy": "Default",
                    "containers": [container(image, api_server)],
                    "volumes": [{"name": "config", "configMap": {
                        "name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}],
                    }}],
                },
            },
        },
    })
}

fn container(image: &str, api_server: Option<(Ipv4Addr, u16)>) -> Value {
    let environment: Vec<Value> = api_server.map_or_else(Vec::new, |(host, port)| {
        vec![
            json!({"name": "KUBERNETES_SERVICE_HOST", "value": host}),
            json!({"name": "KUBERNETES_SERVICE_PORT", "value": port.to_string()}),
        ]
    });
    json!({
        "name": "coredns",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": environment,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "resources": {"requests": {"cpu": "50m", "memory": "40Mi"}, "limits": {"memory": "170Mi"}},
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": true}],
        "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 5, "timeoutSeconds": 5},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 2},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
        },
    })
}
