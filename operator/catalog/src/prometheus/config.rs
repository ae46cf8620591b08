//! Scrape jobs as data, and the configuration file made of them.
//!
//! Targets are found by DNS: one headless Service per job, made by this component, so that Prometheus needs no right at the API
//! server and no watch there. (Debian's build of Prometheus has no Kubernetes discovery at all.)

use serde_json::json;

use super::WORKLOAD;
use crate::{
    Input, RenderError, WorkloadRef, analyzer, cilium_agent, cilium_operator, collectors, gateway,
    gloo_agent, hubble_relay, insights, management_server, operator, template,
};

/// Alert rules, beside the dashboards.
pub(super) const ALERTS: &str = include_str!("../../../../dashboards/alerts.yaml");

/// One scrape job: the pods of one workload, reached at one port of the pod's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    pub(crate) workload: WorkloadRef,
}

impl Job {
    /// Name of the headless Service, in the workload's namespace.
    pub(crate) fn service(&self) -> String {
        format!("prometheus-{}", self.name)
    }
}

const fn job(name: &'static str, port: u16, workload: WorkloadRef) -> Job {
    Job {
        name,
        port,
        workload,
    }
}

/// The jobs for what is installed, in the order they stand in the file.
pub(crate) fn jobs(input: &Input) -> Vec<Job> {
    let mut jobs = vec![
        job("prometheus", super::PORT, WORKLOAD),
        job(
            "gloonet-operator",
            operator::METRICS_PORT,
            operator::WORKLOAD,
        ),
    ];
    if input.cilium() {
        jobs.push(job(
            "cilium-agent",
            cilium_api::names::AGENT_METRICS_PORT,
            cilium_agent::WORKLOAD,
        ));
        jobs.push(job(
            "cilium-operator",
            cilium_api::names::OPERATOR_METRICS_PORT,
            cilium_operator::WORKLOAD,
        ));
    }
    if input.hubble_relay() {
        jobs.push(job(
            "hubble-relay",
            cilium_api::names::HUBBLE_RELAY_METRICS_PORT,
            hubble_relay::WORKLOAD,
        ));
    }
    if input.management_server() {
        jobs.push(job(
            "gloo-mesh-mgmt-server",
            gloo_api::names::SERVER_STATS_PORT,
            management_server::WORKLOAD,
        ));
    }
    if input.gloo_agent() {
        jobs.push(job(
            "gloo-mesh-agent",
            gloo_api::names::AGENT_STATS_PORT,
            gloo_agent::WORKLOAD,
        ));
    }
    if input.analyzer() {
        jobs.push(job(
            "gloo-analyzer",
            gloo_api::names::ANALYZER_STATS_PORT,
            analyzer::WORKLOAD,
        ));
    }
    if input.insights() {
        jobs.push(job(
            "gloo-insights",
            gloo_api::names::INSIGHTS_STATS_PORT,
            insights::WORKLOAD,
        ));
    }
    jobs.extend(telemetry(input));
    jobs
}

fn telemetry(input: &Input) -> Vec<Job> {
    let mut jobs = Vec::new();
    if input.gateway() {
        jobs.push(job(
            "gloo-telemetry-gateway",
            gateway::SELF_METRICS,
            gateway::WORKLOAD,
        ));
        // Relayed samples keep their own job and instance as exported_*: what a cluster sends must not pose as a target of ours.
        jobs.push(job(
            "gloo-telemetry-relayed",
            gateway::EXPORTER,
            gateway::WORKLOAD,
        ));
    }
    if input.logs() {
        jobs.push(job("redis-sink", gateway::SINK_METRICS, gateway::WORKLOAD));
    }
    if input.collectors() {
        jobs.push(job(
            "gloo-telemetry-collectors",
            collectors::SELF_METRICS,
            collectors::WORKLOAD,
        ));
    }
    jobs
}

pub(super) fn configuration(input: &Input) -> Result<String, RenderError> {
    let jobs: Vec<_> = jobs(input)
        .iter()
        .map(|job| {
            json!({
                "name": job.name,
                "port": job.port,
                "namespace": job.workload.namespace,
                "host": format!("{}.{}.svc", job.service(), job.workload.namespace),
                "k8sApp": (job.workload.pod_label.0 == "k8s-app").then_some(job.workload.pod_label.1),
            })
        })
        .collect();
    let values = json!({"cluster": input.cluster_name(), "jobs": jobs});
    template::render(
        "prometheus.yml",
        include_str!("prometheus.yml.hbs"),
        &values,
    )
}
