//! What components render from: validated, fully defaulted, images already resolved.

use std::net::Ipv4Addr;

use gloonet_api::redis::RedisMode;
use gloonet_api::{GlooNetworkSpec, ManagementState, Role};
use ipnet::Ipv4Net;

use crate::ImageResolver;

/// A specification that was accepted for a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// The specification with every default written out (`version` and `cilium.kubernetesService` included): `status.computed`.
    pub spec: GlooNetworkSpec,
    /// [`crate::ClusterFacts::uid`].
    pub uid: String,
    pub images: ImageResolver,
    /// How host-network pods, and pods that must not depend on the service network, reach the API server.
    pub api_server: ApiServer,
    /// `spec.cilium.ipam.clusterPoolIPv4CIDRs`, parsed.
    pub pool: Vec<Ipv4Net>,
    /// InternalIPs of all nodes, sorted: the operator's probes and host-network scrapes come from there.
    pub node_addresses: Vec<Ipv4Addr>,
}

/// Host and port of an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiServer {
    pub host: String,
    pub port: u16,
}

impl Input {
    pub fn cluster_name(&self) -> &str {
        &self.spec.cluster_name
    }

    /// The release that is being installed.
    pub fn version(&self) -> &str {
        self.spec.version.as_deref().unwrap_or_default()
    }

    /// Management parts (Redis, Prometheus, gateway, Grafana) run here.
    pub fn manages(&self) -> bool {
        self.spec.role != Role::Workload
    }

    pub(crate) fn cilium(&self) -> bool {
        self.spec.cilium.state == ManagementState::Managed
    }

    pub(crate) fn hubble(&self) -> bool {
        self.cilium() && self.spec.cilium.hubble.state.is_enabled()
    }

    pub(crate) fn hubble_relay(&self) -> bool {
        self.hubble() && self.spec.cilium.hubble.relay.state.is_enabled()
    }

    pub(crate) fn management_server(&self) -> bool {
        self.manages() && self.spec.gloo.management_server.state == ManagementState::Managed
    }

    pub(crate) fn gloo_agent(&self) -> bool {
        self.spec.gloo.agent.state == ManagementState::Managed
    }

    /// Collectors here send to the gateway of the cluster that manages, with a token the agent brings.
    pub(crate) fn collectors_need_token(&self) -> bool {
        self.collectors() && self.remote_gateway().is_some()
    }

    /// What it finds goes through this cluster's collectors.
    pub(crate) fn analyzer(&self) -> bool {
        self.collectors() && self.spec.gloo.analyzer.state == ManagementState::Managed
    }

    /// It reads what others put into Redis, and which clusters there are.
    pub(crate) fn insights(&self) -> bool {
        self.management_server()
            && self.logs()
            && self.spec.gloo.insights.state == ManagementState::Managed
    }

    pub(crate) fn gateway(&self) -> bool {
        self.manages() && self.spec.telemetry.gateway.state == ManagementState::Managed
    }

    /// Other clusters' collectors may send to this one's gateway, with tokens of the management server.
    pub(crate) fn telemetry_tokens(&self) -> bool {
        self.gateway() && self.management_server()
    }

    /// Log records go from the gateway to Redis.
    pub(crate) fn logs(&self) -> bool {
        self.gateway()
            && self.spec.redis.mode != RedisMode::Disabled
            && self.spec.telemetry.logs.state.is_enabled()
    }

    /// Agents write flows to files of their nodes, and collectors read them.
    pub(crate) fn flows(&self) -> bool {
        let pipelines = &self.spec.telemetry.collectors.pipelines;
        self.hubble() && self.collectors() && pipelines.logs_cilium_flows.is_enabled()
    }

    /// To the gateway of this cluster, or, with what the agent brings for it, to that of the one that manages.
    pub(crate) fn collectors(&self) -> bool {
        let somewhere = self.gateway() || self.remote_gateway().is_some();
        somewhere && self.spec.telemetry.collectors.state == ManagementState::Managed
    }

    /// Where the gateway is that is not this cluster's.
    pub(crate) fn remote_gateway(&self) -> Option<&str> {
        let address = self.spec.telemetry.collectors.gateway_address.as_deref();
        address.filter(|_| !self.manages() && self.gloo_agent())
    }
}
