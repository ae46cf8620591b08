//! Scrape jobs as data, and the configuration file made of them.

use gloonet_api::{CILIUM_NAMESPACE, MESH_NAMESPACE, OPERATOR_NAMESPACE};
use serde::Serialize;
use serde_json::json;

use super::WORKLOAD;
use crate::{
    Input, RenderError, WorkloadRef, cilium_agent, cilium_operator, collectors, gateway, operator,
    template,
};

/// Alert rules, beside the dashboards.
pub(super) const ALERTS: &str = include_str!("../../../../dashboards/alerts.yaml");

/// One scrape job: pods by namespace and one label, reached at one port of the pod's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    pub(crate) namespace: &'static str,
    /// Label name as Prometheus writes it: every other character than letters and digits is `_`.
    pub(crate) label: &'static str,
    pub(crate) value: &'static str,
    pub(crate) port: u16,
    /// Keep the labels that are in the samples: they come from elsewhere.
    pub(crate) honor_labels: bool,
    #[serde(skip)]
    pub(crate) workload: WorkloadRef,
}

/// The jobs for what is installed, in the order they stand in the file.
pub(crate) fn jobs(input: &Input) -> Vec<Job> {
    let job = |name, label, port, workload: WorkloadRef| Job {
        name,
        namespace: workload.namespace,
        label,
        value: workload.pod_label.1,
        port,
        honor_labels: false,
        workload,
    };
    let mut jobs = vec![
        job("prometheus", "app", super::PORT, WORKLOAD),
        job(
            "gloonet-operator",
            "app",
            operator::METRICS_PORT,
            operator::WORKLOAD,
        ),
    ];
    if input.cilium() {
        jobs.push(job(
            "cilium-agent",
            "k8s_app",
            cilium_api::names::AGENT_METRICS_PORT,
            cilium_agent::WORKLOAD,
        ));
        let port = cilium_api::names::OPERATOR_METRICS_PORT;
        jobs.push(job(
            "cilium-operator",
            "io_cilium_app",
            port,
            cilium_operator::WORKLOAD,
        ));
    }
    if input.gateway() {
        jobs.push(job(
            "gloo-telemetry-gateway",
            "app",
            gateway::SELF_METRICS,
            gateway::WORKLOAD,
        ));
        let relayed = job(
            "gloo-telemetry-relayed",
            "app",
            gateway::EXPORTER,
            gateway::WORKLOAD,
        );
        jobs.push(Job {
            honor_labels: true,
            ..relayed
        });
    }
    if input.collectors() {
        jobs.push(job(
            "gloo-telemetry-collectors",
            "app",
            collectors::SELF_METRICS,
            collectors::WORKLOAD,
        ));
    }
    jobs
}

pub(super) fn configuration(input: &Input) -> Result<String, RenderError> {
    // The same discovery in every job, so that Prometheus keeps one watch per namespace and not one per job.
    let mut namespaces = vec![MESH_NAMESPACE, OPERATOR_NAMESPACE];
    if input.cilium() {
        namespaces.push(CILIUM_NAMESPACE);
    }
    let values =
        json!({"cluster": input.cluster_name(), "jobs": jobs(input), "namespaces": namespaces});
    template::render(
        "prometheus.yml",
        include_str!("prometheus.yml.hbs"),
        &values,
    )
}
