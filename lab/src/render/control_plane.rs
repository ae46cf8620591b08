use std::net::Ipv4Addr;

use super::{KUBERNETES, PKI};
use crate::addressing::{API_PORT, SERVICE_CIDR};

/// Which of the API servers, and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiServer {
    /// Address in the `kubernetes` Service's endpoints.
    pub advertise: Ipv4Addr,
    /// Address it binds. Differs from `advertise` when the fault proxy stands before it.
    pub bind: Ipv4Addr,
    /// File name of its audit log.
    pub audit_log: &'static str,
}

fn arguments<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    lines.into_iter().map(str::to_owned).collect()
}

/// etcd's arguments. No fsync: the lab's data need not survive a power cut.
pub fn etcd() -> Vec<String> {
    arguments([
        "--name=lab",
        "--data-dir=/var/lib/etcd",
        "--unsafe-no-fsync",
        "--listen-client-urls=http://127.0.0.1:2379",
        "--advertise-client-urls=http://127.0.0.1:2379",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        "--initial-cluster=lab=http://127.0.0.1:2380",
        "--log-level=warn",
    ])
}

/// An API server's arguments.
pub fn api_server(server: &ApiServer) -> Vec<String> {
    let mut list = vec![
        format!("--advertise-address={}", server.advertise),
        format!("--bind-address={}", server.bind),
        format!("--secure-port={API_PORT}"),
        format!("--service-cluster-ip-range={SERVICE_CIDR}"),
        format!("--audit-policy-file={KUBERNETES}/audit-policy.yaml"),
        format!("--audit-log-path=/var/log/kubernetes/{}", server.audit_log),
        // Megabytes. What a test looks for may be as old as the cluster, and a second file nobody reads.
        "--audit-log-maxsize=2000".to_owned(),
    ];
    let files = [
        ("client-ca-file", "ca.crt"),
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
        ("kubelet-certificate-authority", "ca.crt"),
        ("kubelet-client-certificate", "apiserver-kubelet-client.crt"),
        ("kubelet-client-key", "apiserver-kubelet-client.key"),
        ("service-account-key-file", "sa.pub"),
        ("service-account-signing-key-file", "sa.key"),
        ("requestheader-client-ca-file", "ca.crt"),
        ("proxy-client-cert-file", "front-proxy-client.crt"),
        ("proxy-client-key-file", "front-proxy-client.key"),
    ];
    list.extend(
        files
            .iter()
            .map(|(flag, file)| format!("--{flag}={PKI}/{file}")),
    );
    list.extend(arguments([
        "--etcd-servers=http://127.0.0.1:2379",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--profiling=false",
    ]));
    list
}

/// kube-controller-manager's arguments. Pod networks are the CNI's business, so none are allocated here.
pub fn controller_manager() -> Vec<String> {
    let mut list = vec![
        format!("--kubeconfig={KUBERNETES}/controller-manager.kubeconfig"),
        format!("--service-account-private-key-file={PKI}/sa.key"),
        format!("--root-ca-file={PKI}/ca.crt"),
        format!("--cluster-signing-cert-file={PKI}/ca.crt"),
        format!("--cluster-signing-key-file={PKI}/ca.key"),
    ];
    list.extend(arguments([
        "--allocate-node-cidrs=false",
        "--use-service-account-credentials=true",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
        "--profiling=false",
    ]));
    list
}

/// kube-scheduler's arguments.
pub fn scheduler() -> Vec<String> {
    vec![
        format!("--kubeconfig={KUBERNETES}/scheduler.kubeconfig"),
        "--bind-address=127.0.0.1".into(),
        "--leader-elect=false".into(),
        "--profiling=false".into(),
    ]
}

/// Metadata of every request, once it was answered: who did what to which object.
pub fn audit_policy() -> String {
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules:\n- level: Metadata\n".into()
}
