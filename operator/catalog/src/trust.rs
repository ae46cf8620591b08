//! What the parts trust each other by: the operator's certificate authority, certificates for OTLP, passwords, and the relay's
//! own authority.
//!
//! Declares Secrets only; their values are made once by the operator and never regenerated.

mod health;
mod redis;
mod relay;
mod secrets;

use kube_core::DynamicObject;

use crate::{Component, ComponentId, Health, Input, Observed, Probe, RenderError, SecretSpec};

pub(crate) use redis::RedisUser;
pub(crate) use secrets::{
    ANALYZER_TLS, COLLECTOR_SERVER, COLLECTOR_SERVER_TLS, COLLECTOR_TLS, GATEWAY_SERVER,
    GATEWAY_TLS, GRAFANA_ADMIN, all as secrets,
};

#[derive(Debug)]
pub(crate) struct Trust;

impl Component for Trust {
    fn id(&self) -> ComponentId {
        ComponentId::Trust
    }

    fn needs(&self) -> &'static [ComponentId] {
        &[ComponentId::Crds]
    }

    fn enabled(&self, _input: &Input) -> bool {
        true
    }

    fn secrets(&self, input: &Input) -> Vec<SecretSpec> {
        secrets::all(input)
    }

    fn objects(&self, _input: &Input) -> Result<Vec<DynamicObject>, RenderError> {
        Ok(Vec::new())
    }

    fn probes(&self, _input: &Input) -> Vec<Probe> {
        Vec::new()
    }

    fn health(&self, input: &Input, observed: &Observed) -> Health {
        health::judge(input, observed)
    }
}

#[cfg(test)]
mod tests;
