//! Filters on IP addresses.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Condition, End, FilterError};
use crate::proto::flow::{Flow, FlowFilter};

pub(super) fn add(filter: &FlowFilter, conditions: &mut Vec<Condition>) -> Result<(), FilterError> {
    for (end, field, values) in [
        (End::Source, "source_ip", &filter.source_ip),
        (End::Destination, "destination_ip", &filter.destination_ip),
    ] {
        if !values.is_empty() {
            let nets = values
                .iter()
                .map(|value| net(field, value))
                .collect::<Result<Vec<_>, _>>()?;
            conditions.push(Box::new(move |flow| {
                address(end, flow)
                    .is_some_and(|address| nets.iter().any(|net| net.contains(&address)))
            }));
        }
    }
    let versions = filter.ip_version.clone();
    if !versions.is_empty() {
        conditions.push(Box::new(move |flow| {
            versions.contains(&flow.ip.as_ref().map_or(0, |ip| ip.ip_version))
        }));
    }
    if !filter.encrypted.is_empty() {
        let encrypted = filter.encrypted.clone();
        conditions.push(Box::new(move |flow| {
            encrypted.contains(&flow.ip.as_ref().is_some_and(|ip| ip.encrypted))
        }));
    }
    Ok(())
}

fn net(field: &'static str, value: &str) -> Result<IpNet, FilterError> {
    let parsed = if value.contains('/') {
        value.parse().ok()
    } else {
        value.parse::<IpAddr>().ok().map(IpNet::from)
    };
    parsed.ok_or_else(|| FilterError::Value {
        field,
        value: value.to_owned(),
        expected: "address or CIDR",
    })
}

fn address(end: End, flow: &Flow) -> Option<IpAddr> {
    let ip = flow.ip.as_ref()?;
    match end {
        End::Source => ip.source.parse().ok(),
        End::Destination => ip.destination.parse().ok(),
    }
}
