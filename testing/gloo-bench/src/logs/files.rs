//! The configuration the operator would give to collector and gateway, less what a loopback changes.

use std::{fs, net::TcpListener, path::Path};

use anyhow::{Context, Result, bail};
use gloo_relay::fixture;
use gloonet_api::GlooNetworkSpec;
use gloonet_catalog::{ClusterFacts, ComponentId, component, validate};
use serde_json::{Value, json};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Name of the cluster, which the gateway writes on every record.
pub(super) const CLUSTER: &str = "measured";

/// Ports of one stage.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) collector: u16,
    pub(super) collector_health: u16,
    pub(super) collector_metrics: u16,
    pub(super) gateway: u16,
    pub(super) gateway_health: u16,
    pub(super) gateway_metrics: u16,
    pub(super) exporter: u16,
    pub(super) sink: u16,
    pub(super) sink_metrics: u16,
    pub(super) redis: u16,
}

impl Ports {
    pub(super) fn free() -> Result<Self> {
        Ok(Self {
            collector: free()?,
            collector_health: free()?,
            collector_metrics: free()?,
            gateway: free()?,
            gateway_health: free()?,
            gateway_metrics: free()?,
            exporter: free()?,
            sink: free()?,
            sink_metrics: free()?,
            redis: free()?,
        })
    }
}

pub(super) fn free() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// One authority and one certificate per name; the folder stands for every mounted Secret.
pub(super) fn certificates(folder: &Path) -> Result<ClientTlsConfig> {
    let authority = fixture::authority("measurement");
    fs::write(folder.join("ca.crt"), &authority.0)?;
    let names = [
        ("gateway", "gloo-telemetry-gateway.gloo-mesh"),
        ("collector", "gloo-telemetry-collector.gloo-mesh"),
    ];
    for (file, name) in names {
        let (certificate, key) = fixture::server(&authority, name);
        fs::write(folder.join(format!("{file}.crt")), certificate)?;
        fs::write(folder.join(format!("{file}.key")), key)?;
    }
    let (certificate, key) = fixture::server(&authority, "load");
    Ok(ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(&authority.0))
        .identity(Identity::from_pem(certificate, key))
        .domain_name(names[1].1))
}

/// The file the operator would write for one component.
pub(super) fn rendered(id: ComponentId, config_map: &str) -> Result<Value> {
    let spec = GlooNetworkSpec::named(CLUSTER);
    let facts = ClusterFacts {
        operator_version: env!("CARGO_PKG_VERSION").to_owned(),
        api_server: Some(("192.0.2.1".to_owned(), 6443)),
        ..ClusterFacts::default()
    };
    let input = validate(&spec, &facts)
        .map_err(|refusals| anyhow::anyhow!("the specification is refused: {refusals:?}"))?;
    let objects = component(id).objects(&input)?;
    let map = objects
        .iter()
        .find(|object| object.metadata.name.as_deref() == Some(config_map))
        .context("no ConfigMap")?;
    let text = map.data["data"]["relay.yaml"].as_str().context("no file")?;
    serde_norway::from_str(text).context("the file is no YAML")
}

/// Listens and keeps here, with these certificates.
pub(super) fn at_home(
    file: &mut Value,
    folder: &Path,
    name: &str,
    ports: (u16, u16, u16),
) -> Result<()> {
    let (otlp, health, metrics) = ports;
    let keep = folder.join(format!("queue-{name}"));
    fs::create_dir_all(&keep)?;
    file["extensions"]["health_check"]["endpoint"] = json!(format!("127.0.0.1:{health}"));
    file["extensions"]["file_storage"]["directory"] = json!(keep);
    file["extensions"]["file_storage"]["compaction"]["directory"] = json!(keep);
    let grpc = &mut file["receivers"]["otlp"]["protocols"]["grpc"];
    grpc["endpoint"] = json!(format!("127.0.0.1:{otlp}"));
    certificate(&mut grpc["tls"], folder, name);
    grpc["tls"]["client_ca_file"] = json!(folder.join("ca.crt"));
    let readers = &mut file["service"]["telemetry"]["metrics"]["readers"];
    let prometheus = &mut readers[0]["pull"]["exporter"]["prometheus"];
    prometheus["host"] = json!("127.0.0.1");
    prometheus["port"] = json!(metrics);
    Ok(())
}

pub(super) fn certificate(tls: &mut Value, folder: &Path, name: &str) {
    tls["cert_file"] = json!(folder.join(format!("{name}.crt")));
    tls["key_file"] = json!(folder.join(format!("{name}.key")));
}

/// Keeps one pipeline, and of the receivers and extensions what it needs.
fn only(file: &mut Value, pipeline: &str, extensions: &[&str]) -> Result<()> {
    let kept = file["service"]["pipelines"][pipeline].take();
    if kept.is_null() {
        bail!("the file has no pipeline {pipeline}");
    }
    file["service"]["pipelines"] = json!({pipeline: kept});
    file["service"]["extensions"] = json!(extensions);
    if let Some(all) = file["extensions"].as_object_mut() {
        all.retain(|name, _| extensions.contains(&name.as_str()));
    }
    if let Some(all) = file["receivers"].as_object_mut() {
        all.retain(|name, _| name == "otlp");
    }
    Ok(())
}

const EXTENSIONS: [&str; 2] = ["health_check", "file_storage"];

pub(super) fn collector(folder: &Path, ports: &Ports, thrown_away: bool) -> Result<()> {
    let mut file = rendered(ComponentId::Collectors, "gloo-telemetry-collector-config")?;
    let (own, pipeline) = (
        (
            ports.collector,
            ports.collector_health,
            ports.collector_metrics,
        ),
        "logs/analyzer",
    );
    at_home(&mut file, folder, "collector", own)?;
    only(&mut file, pipeline, &EXTENSIONS)?;
    if thrown_away {
        file["exporters"] = json!({"debug": {}});
        file["service"]["pipelines"][pipeline]["exporters"] = json!(["debug"]);
    } else {
        let exporter = &mut file["exporters"]["otlp"];
        exporter["endpoint"] = json!(format!("127.0.0.1:{}", ports.gateway));
        certificate(&mut exporter["tls"], folder, "collector");
        exporter["tls"]["ca_file"] = json!(folder.join("ca.crt"));
    }
    write(folder, "collector", &file)
}

pub(super) fn gateway(folder: &Path, ports: &Ports) -> Result<()> {
    let mut file = rendered(ComponentId::Gateway, "gloo-telemetry-gateway-config")?;
    let own = (ports.gateway, ports.gateway_health, ports.gateway_metrics);
    at_home(&mut file, folder, "gateway", own)?;
    only(&mut file, "logs/redis_stream", &EXTENSIONS)?;
    file["exporters"]["otlp/redis"]["endpoint"] = json!(format!("127.0.0.1:{}", ports.sink));
    file["exporters"]["prometheus"]["endpoint"] = json!(format!("127.0.0.1:{}", ports.exporter));
    write(folder, "gateway", &file)
}

fn write(folder: &Path, name: &str, file: &Value) -> Result<()> {
    let path = folder.join(format!("{name}.yaml"));
    fs::write(&path, format!("{file:#}")).with_context(|| format!("write {}", path.display()))
}
