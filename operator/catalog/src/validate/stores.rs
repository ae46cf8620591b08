//! Redis, Prometheus and Grafana: external ones are complete, managed ones fit.

use gloonet_api::grafana::GrafanaMode;
use gloonet_api::prometheus::PrometheusMode;
use gloonet_api::redis::{ExternalRedis, Persistence, RedisMode};
use gloonet_api::{GlooNetworkSpec, MESH_NAMESPACE};

use super::Refusal;
use crate::{ClusterFacts, quantity};

pub(super) fn redis(spec: &GlooNetworkSpec, facts: &ClusterFacts, refusals: &mut Vec<Refusal>) {
    match (spec.redis.mode, &spec.redis.external) {
        (RedisMode::External, None) => {
            let cure = "set redis.external.address to host:port of the Redis to use";
            refusals.push(Refusal::new(
                "redis.external.address",
                format!("redis.mode is External without an address; {cure}"),
            ));
        }
        (RedisMode::External, Some(external)) => external_redis(external, facts, refusals),
        (RedisMode::Managed, _) => managed_redis(spec, facts, refusals),
        (RedisMode::Disabled, _) => {}
    }
}

fn external_redis(external: &ExternalRedis, facts: &ClusterFacts, refusals: &mut Vec<Refusal>) {
    let port = external
        .address
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none_or(|port| port == 0) {
        let message = format!(
            "{:?} is not host:port; write for example redis.example.org:6379",
            external.address
        );
        refusals.push(Refusal::new("redis.external.address", message));
    }
    if let Some(name) = &external.credentials_secret {
        secret(
            "redis.external.credentialsSecret",
            name,
            "password",
            facts,
            refusals,
        );
    }
    if external.tls.state.is_enabled() {
        authority(external, facts, refusals);
    }
}

/// Images carry no certificate authorities: of a Redis that nobody vouches for every program would say by itself that it does
/// not know who signed.
fn authority(external: &ExternalRedis, facts: &ClusterFacts, refusals: &mut Vec<Refusal>) {
    let field = "redis.external.tls.caSecret";
    if let Some(name) = &external.tls.ca_secret {
        return secret(field, name, "ca.crt", facts, refusals);
    }
    let message = format!(
        "TLS to {} is on and nothing says who signed its certificate; name a Secret in {MESH_NAMESPACE} with the authority under the key \
         ca.crt, or set redis.external.tls.state to Disabled",
        external.address
    );
    refusals.push(Refusal::new(field, message));
}

fn managed_redis(spec: &GlooNetworkSpec, facts: &ClusterFacts, refusals: &mut Vec<Refusal>) {
    let managed = &spec.redis.managed;
    storage(
        "redis.managed.persistence",
        &managed.persistence,
        facts,
        refusals,
    );
    let field = "redis.managed.maxMemory";
    let Some(data) = quantity::bytes(&managed.max_memory).filter(|bytes| *bytes > 0) else {
        let message = format!(
            "{:?} is no amount of memory; write for example 128Mi",
            managed.max_memory.0
        );
        refusals.push(Refusal::new(field, message));
        return;
    };
    let limit = managed
        .resources
        .limits
        .get("memory")
        .and_then(quantity::bytes);
    if let Some(limit) = limit.filter(|limit| *limit <= data) {
        let why = format!(
            "{} for data does not fit into the container's memory limit of {limit} bytes",
            managed.max_memory.0
        );
        refusals.push(Refusal::new(
            field,
            format!("{why}; raise redis.managed.resources.limits.memory or lower {field}"),
        ));
    }
}

pub(super) fn prometheus(
    spec: &GlooNetworkSpec,
    facts: &ClusterFacts,
    refusals: &mut Vec<Refusal>,
) {
    match (spec.prometheus.mode, &spec.prometheus.external) {
        (PrometheusMode::External, None) => {
            let cure = "set prometheus.external.address to the URL of the Prometheus to use";
            let message = format!("prometheus.mode is External without an address; {cure}");
            refusals.push(Refusal::new("prometheus.external.address", message));
        }
        (PrometheusMode::External, Some(external)) => {
            external_prometheus(&external.address, refusals);
        }
        (PrometheusMode::Managed, _) => {
            storage(
                "prometheus.managed.storage",
                &spec.prometheus.managed.storage,
                facts,
                refusals,
            );
            retention(&spec.prometheus.managed.retention, refusals);
        }
        (PrometheusMode::Disabled, _) => {}
    }
}

/// Over TLS nobody could ask it: images carry no certificate authorities, and no field names one. That is said here, where
/// otherwise every program would say by itself that it does not know who signed.
fn external_prometheus(address: &str, refusals: &mut Vec<Refusal>) {
    let message = match address.split_once("://") {
        Some(("https", _)) => {
            let why = "the platform asks Prometheus over http:// only";
            let cure = "name an http:// address, if need be of a proxy in the cluster that speaks TLS to it";
            format!("{address:?} begins with https://, and {why}; {cure}")
        }
        Some(("http", host))
            if !host.is_empty() && !host.starts_with('/') && !address.contains(['"', '\\']) =>
        {
            return;
        }
        _ => format!("{address:?} is no URL; write for example http://prometheus.monitoring:9090"),
    };
    refusals.push(Refusal::new("prometheus.external.address", message));
}

fn retention(given: &str, refusals: &mut Vec<Refusal>) {
    let digits = given.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = given.split_at(digits);
    if !number.bytes().any(|byte| byte != b'0')
        || !["ms", "s", "m", "h", "d", "w", "y"].contains(&unit)
    {
        let message = format!("{given:?} is no duration; write for example 7d or 12h");
        refusals.push(Refusal::new("prometheus.managed.retention", message));
    }
}

pub(super) fn grafana(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    if spec.grafana.mode == GrafanaMode::Managed && spec.prometheus.mode == PrometheusMode::Disabled
    {
        let why = "Grafana has nothing to show when prometheus.mode is Disabled";
        refusals.push(Refusal::new("grafana.mode", format!("{why}; set grafana.mode to DashboardsOnly or Disabled, or prometheus.mode to Managed or External")));
    }
}

fn storage(field: &str, block: &Persistence, facts: &ClusterFacts, refusals: &mut Vec<Refusal>) {
    if quantity::bytes(&block.size).is_none_or(|bytes| bytes == 0) {
        let message = format!("{:?} is no size; write for example 1Gi", block.size.0);
        refusals.push(Refusal::new(&format!("{field}.size"), message));
    }
    if !block.state.is_enabled() {
        return;
    }
    match &block.storage_class {
        Some(class) if !facts.storage_classes.contains(class) => {
            let there: Vec<&str> = facts.storage_classes.iter().map(String::as_str).collect();
            let there = if there.is_empty() {
                "none".to_owned()
            } else {
                there.join(", ")
            };
            let message = format!(
                "StorageClass {class} does not exist (there are: {there}); create it or name another"
            );
            refusals.push(Refusal::new(&format!("{field}.storageClass"), message));
        }
        None if !facts.has_default_storage_class => {
            let cure = format!(
                "name one in {field}.storageClass, mark one as default, or set {field}.state to Disabled"
            );
            refusals.push(Refusal::new(
                &format!("{field}.storageClass"),
                format!("the cluster has no default StorageClass; {cure}"),
            ));
        }
        _ => {}
    }
}

fn secret(field: &str, name: &str, key: &str, facts: &ClusterFacts, refusals: &mut Vec<Refusal>) {
    match facts.secrets.get(name) {
        None => {
            let message = format!(
                "Secret {MESH_NAMESPACE}/{name} does not exist; create it with the key {key}"
            );
            refusals.push(Refusal::new(field, message));
        }
        Some(found) if !found.keys.contains(key) => {
            let there: Vec<&str> = found.keys.iter().map(String::as_str).collect();
            let message = format!(
                "Secret {MESH_NAMESPACE}/{name} has no key {key} (it has: {}); add it",
                there.join(", ")
            );
            refusals.push(Refusal::new(field, message));
        }
        Some(_) => {}
    }
}
