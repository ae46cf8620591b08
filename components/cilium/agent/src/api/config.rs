//! `/v1/config`: what the plugin needs to make a pod's link.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use cilium_cni::model::routing::ProcessOptions;
use cilium_cni::model::{
    DaemonConfiguration, DaemonConfigurationStatus, NodeAddressing, NodeAddressingElement,
};
use datapath::Routing;

use crate::agent::{Agent, Own};

pub async fn get(State(agent): State<Arc<Agent>>) -> Json<DaemonConfiguration> {
    Json(DaemonConfiguration {
        status: DaemonConfigurationStatus {
            addressing: addressing(&agent.own),
            datapath_mode: "veth".to_owned(),
            device_mtu: agent.own.mtu,
            route_mtu: agent.own.mtu,
            ipam_mode: "cluster-pool".to_owned(),
            options: ProcessOptions {
                routing_mode: routing_mode(agent.own.routing).to_owned(),
            },
        },
    })
}

fn routing_mode(routing: Routing) -> &'static str {
    match routing {
        Routing::Tunnel => "tunnel",
        Routing::Native => "native",
    }
}

pub(crate) fn addressing(own: &Own) -> NodeAddressing {
    NodeAddressing {
        ipv4: NodeAddressingElement {
            alloc_range: own.pod_cidrs.first().copied().unwrap_or_default(),
            enabled: true,
            ip: own.router,
        },
    }
}
