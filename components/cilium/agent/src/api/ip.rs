//! `/v1/ip`: who holds which address, as the datapath has it, with what is known of the holder.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use cilium_api::NumericIdentity;
use cilium_cni::model::ip::{IpListEntry, IpMetadata};
use datapath::IpEntry;
use ipnet::Ipv4Net;

use crate::agent::{Agent, blocking};
use crate::api::map_unreadable;
use crate::holders::{Pods, other_pods, own_pods};

pub async fn list(State(agent): State<Arc<Agent>>) -> Response {
    let worker = agent.clone();
    let mut ips = match blocking(move || worker.datapath.ips()).await {
        Some(Ok(ips)) => ips,
        other => return map_unreadable(other),
    };
    ips.sort_by_key(|(prefix, _)| *prefix);
    let (own, others) = (own_pods(&agent), other_pods(&agent));
    let entries: Vec<IpListEntry> = ips
        .into_iter()
        .map(|(prefix, entry)| describe(prefix, entry, &own, &others))
        .collect();
    Json(entries).into_response()
}

fn describe(cidr: Ipv4Net, entry: IpEntry, own: &Pods, others: &Pods) -> IpListEntry {
    let pod = |pods: &Pods| (cidr.prefix_len() == 32).then(|| pods.get(&cidr.addr()).cloned())?;
    let (source, pod) = match pod(own) {
        Some(pod) => ("local", Some(pod)),
        None if entry.identity == NumericIdentity::HOST.0 => ("local", None),
        None if entry.identity == NumericIdentity::KUBE_APISERVER.0 => ("kube-apiserver", None),
        None => ("custom-resource", pod(others)),
    };
    let (namespace, name) = pod.unwrap_or_default();
    IpListEntry {
        cidr,
        identity: entry.identity,
        host_ip: entry.tunnel,
        encrypt_key: 0,
        metadata: Some(IpMetadata {
            source: source.to_owned(),
            namespace,
            name,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(identity: u32, cidr: &str) -> (String, String) {
        let pod = |ip: &str, name: &str| {
            Pods::from([(ip.parse().unwrap(), ("shop".to_owned(), name.to_owned()))])
        };
        let entry = IpEntry {
            identity,
            tunnel: None,
        };
        let (own, others) = (pod("10.244.1.5", "web"), pod("10.244.2.6", "db"));
        let metadata = describe(cidr.parse().unwrap(), entry, &own, &others)
            .metadata
            .unwrap();
        (metadata.source, metadata.name)
    }

    #[test]
    fn an_address_is_described_by_whoever_is_closest_to_it() {
        let text = |source: &str, name: &str| (source.to_owned(), name.to_owned());
        assert_eq!(source(300, "10.244.1.5/32"), text("local", "web"));
        assert_eq!(source(301, "10.244.2.6/32"), text("custom-resource", "db"));
        assert_eq!(source(1, "172.30.0.11/32"), text("local", ""));
        assert_eq!(source(7, "172.30.0.10/32"), text("kube-apiserver", ""));
        assert_eq!(source(2, "10.244.2.0/24"), text("custom-resource", ""));
    }
}
