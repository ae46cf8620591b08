//! JSON to objects, with the labels every object of ours carries. Typos are caught by a test that reads every rendered
//! object into Kubernetes' own types and back.

use gloonet_api::Resources;
use kube_core::DynamicObject;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::labels::{APP, COMPONENT_LABEL, MANAGED_BY, MANAGED_BY_LABEL};
use crate::{ComponentId, ImageName, ImageResolver, Input, RenderError};

/// Builds the objects of one component.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Builder {
    component: &'static str,
    namespace: &'static str,
}

impl Builder {
    pub(crate) const fn new(id: ComponentId, namespace: &'static str) -> Self {
        Self {
            component: id.as_str(),
            namespace,
        }
    }

    /// For the operator itself, which is no component of the catalog.
    pub(crate) const fn named(component: &'static str, namespace: &'static str) -> Self {
        Self {
            component,
            namespace,
        }
    }

    /// A namespaced object; `rest` holds `spec`, `data`, `rules`, …
    pub(crate) fn namespaced(
        &self,
        api: (&str, &str),
        name: &str,
        rest: Value,
    ) -> Result<DynamicObject, RenderError> {
        self.object(
            api,
            json!({"name": name, "namespace": self.namespace}),
            rest,
        )
    }

    /// A cluster-scoped object.
    pub(crate) fn cluster(
        &self,
        api: (&str, &str),
        name: &str,
        rest: Value,
    ) -> Result<DynamicObject, RenderError> {
        self.object(api, json!({"name": name}), rest)
    }

    /// Any object; our labels are added to those in `metadata`.
    pub(crate) fn object(
        &self,
        api: (&str, &str),
        metadata: Value,
        rest: Value,
    ) -> Result<DynamicObject, RenderError> {
        let (api_version, kind) = api;
        let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata});
        let labels = &mut object["metadata"]["labels"];
        if labels.is_null() {
            *labels = Value::Object(Map::new());
        }
        labels[MANAGED_BY_LABEL] = json!(MANAGED_BY);
        labels[COMPONENT_LABEL] = json!(self.component);
        if let (Value::Object(object), Value::Object(rest)) = (&mut object, rest) {
            object.extend(rest);
        }
        let name = format!("{kind} {}", object["metadata"]["name"]);
        serde_json::from_value(object).map_err(|source| RenderError::Object {
            object: name,
            source,
        })
    }

    /// Takes an object of Kubernetes' own types and adds our labels. `types` are its apiVersion and kind.
    pub(crate) fn typed(
        &self,
        api: (&str, &str),
        typed: &impl serde::Serialize,
    ) -> Result<DynamicObject, RenderError> {
        let whole = serde_json::to_value(typed).map_err(|source| RenderError::Object {
            object: api.1.to_owned(),
            source,
        })?;
        let Value::Object(mut rest) = whole else {
            return self.object(api, json!({}), json!({}));
        };
        let metadata = rest.remove("metadata").unwrap_or_else(|| json!({}));
        rest.retain(|key, _| !matches!(key.as_str(), "status" | "apiVersion" | "kind"));
        self.object(api, metadata, Value::Object(rest))
    }

    /// A ServiceAccount whose token is mounted only where `token` says so.
    pub(crate) fn service_account(
        &self,
        name: &str,
        token: bool,
    ) -> Result<DynamicObject, RenderError> {
        self.namespaced(
            ("v1", "ServiceAccount"),
            name,
            json!({"automountServiceAccountToken": token}),
        )
    }

    pub(crate) fn config_map(
        &self,
        name: &str,
        data: &[(&str, &str)],
    ) -> Result<DynamicObject, RenderError> {
        let data: Map<String, Value> = data
            .iter()
            .map(|(key, text)| ((*key).to_owned(), json!(text)))
            .collect();
        self.namespaced(("v1", "ConfigMap"), name, json!({"data": data}))
    }

    /// A ClusterIP Service in front of the pods with label `app: <name>`; ports are (name, port, target port name).
    pub(crate) fn service(
        &self,
        name: &str,
        ports: &[(&str, u16, &str)],
    ) -> Result<DynamicObject, RenderError> {
        let ports: Vec<Value> = ports
            .iter()
            .map(|(name, port, target)| json!({"name": name, "port": port, "targetPort": target, "protocol": "TCP"}))
            .collect();
        let spec = json!({"type": "ClusterIP", "selector": {APP: name}, "ports": ports});
        self.namespaced(("v1", "Service"), name, json!({"spec": spec}))
    }

    /// Keeps all but one of several replicas while nodes are drained. None for a single replica: it would block the drain for ever.
    pub(crate) fn disruption_budget(
        &self,
        name: &str,
        selector: (&str, &str),
        replicas: u16,
    ) -> Result<Option<DynamicObject>, RenderError> {
        if replicas < 2 {
            return Ok(None);
        }
        let labels = Map::from_iter([(selector.0.to_owned(), json!(selector.1))]);
        let spec = json!({"maxUnavailable": 1, "selector": {"matchLabels": labels}});
        self.namespaced(
            ("policy/v1", "PodDisruptionBudget"),
            name,
            json!({"spec": spec}),
        )
        .map(Some)
    }

    /// What may talk to the pods with label `app: <name>`, and whom they may talk to when `egress` says so.
    pub(crate) fn network_policy(
        &self,
        name: &str,
        ingress: Value,
        egress: Option<Value>,
    ) -> Result<DynamicObject, RenderError> {
        let mut spec = json!({"podSelector": {"matchLabels": {APP: name}}, "policyTypes": ["Ingress"], "ingress": ingress});
        if let Some(egress) = egress {
            spec["policyTypes"] = json!(["Ingress", "Egress"]);
            spec["egress"] = egress;
        }
        self.namespaced(
            ("networking.k8s.io/v1", "NetworkPolicy"),
            name,
            json!({"spec": spec}),
        )
    }

    /// Labels of the pods of workload `name`.
    pub(crate) fn pod_labels(&self, name: &str) -> Value {
        json!({APP: name, "app.kubernetes.io/name": name, MANAGED_BY_LABEL: MANAGED_BY, COMPONENT_LABEL: self.component})
    }
}

/// NetworkPolicy peers: pods of the platform's namespace by their `app` label.
pub(crate) fn pods(name: &str) -> Value {
    json!({"podSelector": {"matchLabels": {APP: name}}})
}

/// NetworkPolicy peers: the nodes, where the operator and host-network pods are.
pub(crate) fn nodes(input: &Input) -> Vec<Value> {
    input
        .node_addresses
        .iter()
        .map(|ip| json!({"ipBlock": {"cidr": format!("{ip}/32")}}))
        .collect()
}

/// One ingress rule: these TCP ports from these peers.
pub(crate) fn allow(ports: &[u16], peers: Vec<Value>) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|port| json!({"protocol": "TCP", "port": port}))
        .collect();
    json!({"ports": ports, "from": peers})
}

/// Pod security of everything that needs no right on its node.
pub(crate) fn pod_security(uid: u32) -> Value {
    json!({
        "runAsNonRoot": true, "runAsUser": uid, "runAsGroup": uid, "fsGroup": uid,
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// Container security of everything that needs no right on its node.
pub(crate) fn container_security() -> Value {
    json!({
        "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "privileged": false,
        "capabilities": {"drop": ["ALL"]},
    })
}

/// A variable with a field of the pod itself.
pub(crate) fn from_field(name: &str, path: &str) -> Value {
    json!({"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}})
}

/// The container's own limit, in bytes. Without one it is what the node has.
pub(crate) fn from_memory_limit(name: &str) -> Value {
    json!({"name": name, "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1"}}})
}

pub(crate) fn http_probe(path: &str, port: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": {"path": path, "port": port, "scheme": "HTTP"},
        "periodSeconds": period, "timeoutSeconds": 5, "failureThreshold": failures, "successThreshold": 1,
    })
}

/// The same of a listener on the loopback of the node, in whose network the pod is.
pub(crate) fn loopback_probe(path: &str, port: &str, period: u32, failures: u32) -> Value {
    let mut probe = http_probe(path, port, period, failures);
    probe["httpGet"]["host"] = json!("127.0.0.1");
    probe
}

pub(crate) fn requirements(resources: &Resources) -> Value {
    let mut block = json!({});
    if !resources.requests.is_empty() {
        block["requests"] = json!(resources.requests);
    }
    if !resources.limits.is_empty() {
        block["limits"] = json!(resources.limits);
    }
    block
}

/// What every container has: its image, and the end of its log as the reason of a crash, which health repeats.
pub(crate) fn image(container: &mut Value, images: &ImageResolver, name: ImageName) {
    container["image"] = json!(images.reference(name));
    container["imagePullPolicy"] = json!(images.pull_policy);
    container["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
}

/// `imagePullSecrets` of a pod, absent when there are none.
pub(crate) fn pull_secrets(pod: &mut Value, images: &ImageResolver) {
    if !images.pull_secrets.is_empty() {
        pod["imagePullSecrets"] = images
            .pull_secrets
            .iter()
            .map(|name| json!({"name": name}))
            .collect();
    }
}

/// Spreads replicas over nodes where there is more than one node.
pub(crate) fn spread(name: &str) -> Value {
    json!([{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {APP: name}},
    }])
}

/// Short digest over texts that pods read only when they start.
pub(crate) fn digest(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.len().to_le_bytes());
        hash.update(text.as_bytes());
    }
    let whole = format!("{:x}", hash.finalize());
    whole.chars().take(16).collect()
}
