//! Filters on pods, services, workloads, clusters and identities.

use super::{Condition, End, FilterError};
use crate::proto::flow::{Flow, FlowFilter, Service, Workload};

pub(super) fn add(filter: &FlowFilter, conditions: &mut Vec<Condition>) -> Result<(), FilterError> {
    pods(End::Source, "source_pod", &filter.source_pod, conditions)?;
    pods(
        End::Destination,
        "destination_pod",
        &filter.destination_pod,
        conditions,
    )?;
    services(
        End::Source,
        "source_service",
        &filter.source_service,
        conditions,
    )?;
    services(
        End::Destination,
        "destination_service",
        &filter.destination_service,
        conditions,
    )?;
    workloads(End::Source, &filter.source_workload, conditions);
    workloads(End::Destination, &filter.destination_workload, conditions);
    clusters(
        End::Source,
        "source_cluster_name",
        &filter.source_cluster_name,
        conditions,
    )?;
    clusters(
        End::Destination,
        "destination_cluster_name",
        &filter.destination_cluster_name,
        conditions,
    )?;
    identities(End::Source, &filter.source_identity, conditions);
    identities(End::Destination, &filter.destination_identity, conditions);
    Ok(())
}

/// `namespace/prefix`, `namespace/`, `/prefix` for any namespace, or `prefix` for the namespace `default`.
#[derive(Debug)]
struct NamePrefix {
    namespace: String,
    prefix: String,
}

impl NamePrefix {
    fn all(field: &'static str, values: &[String]) -> Result<Vec<Self>, FilterError> {
        values
            .iter()
            .map(|value| Self::parse(field, value))
            .collect()
    }

    fn parse(field: &'static str, value: &str) -> Result<Self, FilterError> {
        if value.is_empty() {
            return Err(FilterError::Value {
                field,
                value: String::new(),
                expected: "name: write namespace/name, namespace/ or name",
            });
        }
        let (namespace, prefix) = value.split_once('/').unwrap_or(("default", value));
        Ok(Self {
            namespace: namespace.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    fn matches(&self, namespace: &str, name: &str) -> bool {
        name.starts_with(&self.prefix) && (self.namespace.is_empty() || self.namespace == namespace)
    }
}

fn pods(
    end: End,
    field: &'static str,
    values: &[String],
    conditions: &mut Vec<Condition>,
) -> Result<(), FilterError> {
    if values.is_empty() {
        return Ok(());
    }
    let names = NamePrefix::all(field, values)?;
    conditions.push(Box::new(move |flow| {
        end.endpoint(flow)
            .is_some_and(|endpoint| among(&names, &endpoint.namespace, &endpoint.pod_name))
    }));
    Ok(())
}

fn services(
    end: End,
    field: &'static str,
    values: &[String],
    conditions: &mut Vec<Condition>,
) -> Result<(), FilterError> {
    if values.is_empty() {
        return Ok(());
    }
    let names = NamePrefix::all(field, values)?;
    conditions.push(Box::new(move |flow| {
        service(end, flow).is_some_and(|service| among(&names, &service.namespace, &service.name))
    }));
    Ok(())
}

/// What has neither name nor namespace is in no list, not even in that of any name.
fn among(names: &[NamePrefix], namespace: &str, name: &str) -> bool {
    !(namespace.is_empty() && name.is_empty())
        && names.iter().any(|wanted| wanted.matches(namespace, name))
}

fn service(end: End, flow: &Flow) -> Option<&Service> {
    match end {
        End::Source => flow.source_service.as_ref(),
        End::Destination => flow.destination_service.as_ref(),
    }
}

fn workloads(end: End, values: &[Workload], conditions: &mut Vec<Condition>) {
    if values.is_empty() {
        return;
    }
    let wanted = values.to_vec();
    let fits = |wanted: &str, has: &str| wanted.is_empty() || wanted == has;
    conditions.push(Box::new(move |flow| {
        end.endpoint(flow).is_some_and(|endpoint| {
            endpoint.workloads.iter().any(|has| {
                wanted
                    .iter()
                    .any(|wanted| fits(&wanted.name, &has.name) && fits(&wanted.kind, &has.kind))
            })
        })
    }));
}

fn clusters(
    end: End,
    field: &'static str,
    values: &[String],
    conditions: &mut Vec<Condition>,
) -> Result<(), FilterError> {
    if values.is_empty() {
        return Ok(());
    }
    if values.iter().any(String::is_empty) {
        return Err(FilterError::Value {
            field,
            value: String::new(),
            expected: "cluster name",
        });
    }
    let wanted = values.to_vec();
    conditions.push(Box::new(move |flow| {
        end.endpoint(flow)
            .is_some_and(|endpoint| wanted.contains(&endpoint.cluster_name))
    }));
    Ok(())
}

fn identities(end: End, values: &[u32], conditions: &mut Vec<Condition>) {
    if values.is_empty() {
        return;
    }
    let wanted = values.to_vec();
    conditions.push(Box::new(move |flow| {
        end.endpoint(flow)
            .is_some_and(|endpoint| wanted.contains(&endpoint.identity))
    }));
}
