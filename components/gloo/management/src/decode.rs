//! Observed objects into the translation's terms. The bytes are an agent's, and may be anything.

use gloo_api::ClusterName;
use gloo_relay::key::ObjectKey;
use gloo_translate::world::{
    Kind, Labels, Object, Place, PodPort, Service, ServicePort, Slot, Workload, Written,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

/// What kind of object of the translation a key names; `None`: one it has no use for.
pub fn kind(key: &ObjectKey) -> Option<Kind> {
    Some(match (key.api_version(), key.kind()) {
        ("v1", "Namespace") => Kind::Namespace,
        ("v1", "ServiceAccount") => Kind::Account,
        ("v1", "Service") => Kind::Service,
        ("apps/v1", "Deployment" | "DaemonSet" | "StatefulSet") => Kind::Workload,
        ("admin.gloo.solo.io/v2", "Workspace") => Kind::Workspace,
        ("admin.gloo.solo.io/v2", "WorkspaceSettings") => Kind::Settings,
        ("admin.gloo.solo.io/v2", "Dashboard") => Kind::Dashboard,
        ("security.policy.gloo.solo.io/v2", "AccessPolicy") => Kind::Policy,
        _ => return None,
    })
}

/// Whether a key names a resource people write for us, which has a status.
pub fn is_gloo(key: &ObjectKey) -> bool {
    matches!(
        kind(key),
        Some(Kind::Workspace | Kind::Settings | Kind::Policy | Kind::Dashboard)
    )
}

/// Where the translation keeps it.
pub fn place(cluster: &ClusterName, key: &ObjectKey, kind: Kind) -> Place {
    let (namespace, name) = match kind {
        Kind::Namespace => (key.name(), key.name().to_owned()),
        Kind::Workload => (key.namespace(), format!("{}/{}", key.kind(), key.name())),
        _ => (key.namespace(), key.name().to_owned()),
    };
    Place {
        slot: Slot {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
        },
        name,
    }
}

/// Reads an object of a kind that [`kind`] knows.
pub fn object(kind: Kind, bytes: &[u8]) -> Result<Object, serde_json::Error> {
    Ok(match kind {
        Kind::Namespace => Object::Namespace(read::<Bare>(bytes)?.metadata.labels),
        Kind::Account => Object::Account(read::<Bare>(bytes)?.metadata.labels),
        Kind::Service => Object::Service(service(read(bytes)?)),
        Kind::Workload => Object::Workload(workload(read(bytes)?)),
        Kind::Workspace => Object::Workspace(written(read(bytes)?)),
        Kind::Settings => Object::Settings(written(read(bytes)?)),
        Kind::Policy => Object::Policy(written(read(bytes)?)),
        Kind::Dashboard => Object::Dashboard(Box::new(written(read(bytes)?))),
    })
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    labels: Labels,
    #[serde(default)]
    creation_timestamp: String,
    #[serde(default)]
    generation: i64,
}

#[derive(Deserialize)]
struct Bare {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Resource<S> {
    metadata: Metadata,
    #[serde(default)]
    spec: S,
}

fn written<S>(resource: Resource<S>) -> Written<S> {
    Written {
        created: resource.metadata.creation_timestamp,
        generation: resource.metadata.generation,
        labels: resource.metadata.labels,
        spec: resource.spec,
    }
}

#[derive(Default, Deserialize)]
struct ServiceSpec {
    #[serde(default)]
    selector: Labels,
    #[serde(default)]
    ports: Vec<Port>,
}

#[derive(Deserialize)]
struct Port {
    name: Option<String>,
    #[serde(rename = "port")]
    number: u16,
    #[serde(rename = "targetPort")]
    target: Option<Value>,
    protocol: Option<String>,
}

fn service(resource: Resource<ServiceSpec>) -> Service {
    Service {
        labels: resource.metadata.labels,
        selector: resource.spec.selector,
        ports: resource.spec.ports.into_iter().map(port).collect(),
    }
}

fn port(port: Port) -> ServicePort {
    let target = match port.target {
        Some(Value::String(name)) if !name.is_empty() => name,
        Some(Value::Number(number)) if number.as_u64() != Some(0) => number.to_string(),
        _ => port.number.to_string(),
    };
    let protocol = match port.protocol.as_deref() {
        Some("UDP") => "UDP",
        Some("SCTP") => "SCTP",
        _ => "TCP",
    };
    ServicePort {
        name: port.name,
        number: port.number,
        pod: PodPort {
            port: target,
            protocol,
        },
    }
}

#[derive(Default, Deserialize)]
struct WorkloadSpec {
    #[serde(default)]
    template: Template,
}

#[derive(Default, Deserialize)]
struct Template {
    #[serde(default)]
    metadata: TemplateMetadata,
    #[serde(default)]
    spec: TemplateSpec,
}

#[derive(Default, Deserialize)]
struct TemplateMetadata {
    #[serde(default)]
    labels: Labels,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateSpec {
    #[serde(default)]
    service_account_name: String,
    #[serde(default)]
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    ports: Vec<ContainerPort>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerPort {
    name: Option<String>,
    container_port: u16,
}

fn workload(resource: Resource<WorkloadSpec>) -> Workload {
    let spec = resource.spec.template.spec;
    let account = spec.service_account_name;
    let ports = spec.containers.into_iter().flat_map(|one| one.ports);
    Workload {
        ports: ports
            .filter_map(|port| Some((port.name?, port.container_port)))
            .collect(),
        labels: resource.spec.template.metadata.labels,
        account: if account.is_empty() {
            "default".to_owned()
        } else {
            account
        },
    }
}

/// As it may go into a status: one short line.
pub fn sentence(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_ports_are_those_of_its_pods() {
        let json = br#"{"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [
            {"port": 80, "targetPort": 8080}, {"port": 53, "protocol": "UDP", "targetPort": "dns"}, {"port": 9}]}}"#;
        let Object::Service(service) = object(Kind::Service, json).unwrap() else {
            panic!("a service");
        };
        let ports: Vec<_> = service
            .ports
            .iter()
            .map(|port| format!("{} {} {}", port.number, port.pod.port, port.pod.protocol))
            .collect();
        assert_eq!(ports, ["80 8080 TCP", "53 dns UDP", "9 9 TCP"]);
    }

    #[test]
    fn garbage_is_an_error_and_no_panic() {
        for bytes in [
            &b""[..],
            b"{",
            b"[]",
            b"\xff",
            br#"{"metadata": {"labels": 3}}"#,
        ] {
            for kind in [Kind::Namespace, Kind::Service, Kind::Workload, Kind::Policy] {
                assert!(object(kind, bytes).is_err(), "{kind:?}");
            }
        }
    }
}
