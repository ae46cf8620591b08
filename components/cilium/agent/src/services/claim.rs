//! Whose an address and port is, and where who answers there is; for people who ask.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use datapath::Service as Balanced;
use k8s_openapi::api::core::v1::{Pod, Service};

use super::{Slices, endpoints, health_checks, host_ports, key};

/// What is balanced at one address and port.
#[derive(Clone, Debug)]
pub struct Claim<'a> {
    pub owner: Owner<'a>,
    pub balanced: Balanced,
}

/// Whose an address and port is.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    Service(&'a Service, Reach),
    HostPort(&'a Pod),
}

/// Which of a Service's addresses it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    ClusterIp,
    NodePort,
    ExternalIp,
    LoadBalancer,
}

/// Where an endpoint is; what nobody has said is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    pub node: &'a str,
    pub zone: &'a str,
    pub terminating: bool,
}

impl<'a> Owner<'a> {
    /// Everybody who may answer, by address.
    pub fn places(self, slices: &Slices<'a>) -> BTreeMap<Ipv4Addr, Place<'a>> {
        match self {
            Self::Service(service, _) => endpoints::places(slices.behind(key(service))),
            Self::HostPort(pod) => host_ports::place_of(pod).into_iter().collect(),
        }
    }

    /// Whether whoever wrote the Service chose the address.
    pub(super) fn is_named(self) -> bool {
        matches!(
            self,
            Self::Service(_, Reach::ExternalIp | Reach::LoadBalancer)
        )
    }

    /// The port at which nodes answer load balancers.
    pub fn health_check_port(self) -> Option<u16> {
        match self {
            Self::Service(service, _) => health_checks::port(service),
            Self::HostPort(_) => None,
        }
    }
}
