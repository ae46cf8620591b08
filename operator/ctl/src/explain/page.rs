//! The text of `gloonet explain`.

use std::fmt::Write as _;

use gloonet_api::status::{ComponentHealth, ComponentStatus};
use gloonet_catalog::{ComponentId, Probe, ProbeKind, ProbeTarget};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::age::age;

/// All there is to say about one component.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub id: ComponentId,
    pub row: Option<&'a ComponentStatus>,
    pub needs: &'a [ComponentId],
    pub all: &'a [ComponentStatus],
    /// `None`: it is not installed.
    pub objects: Option<Vec<String>>,
    pub pods: &'a [Pod],
    pub probes: Vec<Probe>,
    pub warnings: Vec<String>,
    pub now: Timestamp,
}

impl Page<'_> {
    pub(super) fn render(&self) -> String {
        let mut text = format!("{}: {}\n", self.id, purpose(self.id));
        self.health(&mut text);
        self.needs(&mut text);
        let Some(objects) = &self.objects else {
            text.push_str("\nnot installed: the specification does not ask for it\n");
            return text;
        };
        list(
            &mut text,
            "measured at the thing itself",
            self.probes.iter().map(measurement),
        );
        list(&mut text, "objects", objects.iter().cloned());
        list(&mut text, "pods", self.pods.iter().map(pod));
        list(
            &mut text,
            "warnings of its pods, newest last",
            self.warnings.iter().cloned(),
        );
        text
    }

    fn health(&self, text: &mut String) {
        let Some(row) = self.row else { return };
        let since = row.since.as_ref().map_or_else(String::new, |since| {
            format!(" for {}", age(since.0, self.now))
        });
        let counts = if row.desired == 0 {
            String::new()
        } else {
            format!(", {} of {} pods ready", row.ready, row.desired)
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "\n{}{since}{counts}: {}",
            row.health.as_str(),
            row.message
        );
    }

    fn needs(&self, text: &mut String) {
        let health = |id: &ComponentId| {
            let row = self.all.iter().find(|row| row.name == id.as_str());
            row.map_or("not installed", |row| row.health.as_str())
        };
        list(
            text,
            "starts when these are healthy",
            self.needs.iter().map(|id| format!("{id} ({})", health(id))),
        );
        let waits = self
            .row
            .is_some_and(|row| row.health == ComponentHealth::Waiting);
        if waits {
            text.push_str(
                "  the first of these that is not healthy is where to look: gloonet explain NAME\n",
            );
        }
    }
}

fn list(text: &mut String, title: &str, lines: impl Iterator<Item = String>) {
    let mut lines = lines.peekable();
    if lines.peek().is_none() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    for line in lines {
        let _ = writeln!(text, "  {line}");
    }
}

fn pod(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let node = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.node_name.clone())
        .unwrap_or_else(|| "no node yet".to_owned());
    let containers = status.container_statuses.unwrap_or_default();
    let ready = containers
        .iter()
        .filter(|container| container.ready)
        .count();
    let restarts: i32 = containers
        .iter()
        .map(|container| container.restart_count)
        .sum();
    format!(
        "{}/{}  {}  {ready}/{} ready  {restarts} restarts  {node}",
        pod.namespace().unwrap_or_default(),
        pod.name_any(),
        status.phase.unwrap_or_default(),
        containers.len()
    )
}

/// What is asked, and of whom.
fn measurement(probe: &Probe) -> String {
    let pods = |selector: &gloonet_catalog::PodSelector| {
        let labels: Vec<String> = selector
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        format!(
            "{} {} port {}",
            selector.namespace,
            labels.join(","),
            selector.port
        )
    };
    let target = match &probe.target {
        ProbeTarget::EachPod(selector) => format!("each pod of {}", pods(selector)),
        ProbeTarget::AnyPod(selector) => format!("a pod of {}", pods(selector)),
        ProbeTarget::Address(address) => address.clone(),
    };
    let question = match &probe.kind {
        ProbeKind::Http(check) => format!("GET {}", check.path),
        ProbeKind::RedisReadWrite { .. } => "log in, PING, write a key and read it back".to_owned(),
        ProbeKind::Json(check) => format!("GET {}, and what it says there", check.path),
        ProbeKind::LogArrives(_) => "send a log record and read it from Redis".to_owned(),
        ProbeKind::PrometheusJobsUp { jobs, .. } => format!("up of the jobs {}", jobs.join(", ")),
        ProbeKind::MetricSums { metrics, .. } => format!("the metrics {}", metrics.join(", ")),
        ProbeKind::Carried { path } => {
            format!("GET {path}, and which nodes and Services it reaches")
        }
    };
    format!("{}: {question}, at {target}", probe.name)
}

/// What it is, in a sentence.
fn purpose(id: ComponentId) -> &'static str {
    match id {
        ComponentId::Crds => {
            "the definitions of the cilium.io and Gloo resources; kept on uninstall while they hold data"
        }
        ComponentId::Trust => {
            "the certificate authority of this cluster, certificates and passwords; made once and kept"
        }
        ComponentId::CiliumAgent => {
            "the node agent: pod network, services and counters on each node"
        }
        ComponentId::CiliumOperator => {
            "gives nodes their pod CIDRs and pods their identities, and clears what is left over"
        }
        ComponentId::HubbleRelay => {
            "the flows of all nodes in one stream, for `hubble` and Hubble's UI, over mutual TLS"
        }
        ComponentId::Redis => "the store of snapshots, records and sessions",
        ComponentId::Prometheus => {
            "scrapes every part of the platform and evaluates the alert rules"
        }
        ComponentId::Gateway => {
            "the OpenTelemetry Collector that receives what the collectors send"
        }
        ComponentId::Collectors => {
            "an OpenTelemetry Collector on each node that scrapes it and sends to the gateway"
        }
        ComponentId::ManagementServer => {
            "computes what all clusters shall be, out of the snapshots their agents send"
        }
        ComponentId::GlooAgent => {
            "tells the management server what is in this cluster, and applies here what it says"
        }
        ComponentId::Analyzer => {
            "looks at Cilium, certificates, images, nodes and policies of this cluster, and reports what it finds"
        }
        ComponentId::Insights => {
            "says what to do about what analyzers, agents and Prometheus know of all clusters"
        }
        ComponentId::Grafana => "dashboards over Prometheus",
        ComponentId::OperatorDashboard => "the dashboard about the operator itself",
    }
}

#[cfg(test)]
mod tests {
    use gloonet_api::status::ComponentState;

    use super::*;

    fn row(name: &str, health: ComponentHealth, message: &str) -> ComponentStatus {
        ComponentStatus {
            name: name.to_owned(),
            version: String::new(),
            state: ComponentState::Managed,
            health,
            message: message.to_owned(),
            since: None,
            updated: None,
            ready: 0,
            desired: 1,
        }
    }

    #[test]
    fn a_waiting_component_points_to_what_it_waits_for() {
        let all = [
            row(
                "prometheus",
                ComponentHealth::Waiting,
                "waits for cilium-agent",
            ),
            row("cilium-agent", ComponentHealth::Degraded, "2 of 3 nodes"),
        ];
        let page = Page {
            id: ComponentId::Prometheus,
            row: Some(&all[0]),
            needs: &[ComponentId::CiliumAgent],
            all: &all,
            objects: Some(vec!["Deployment gloo-mesh/prometheus-server".to_owned()]),
            pods: &[],
            probes: Vec::new(),
            warnings: Vec::new(),
            now: Timestamp::UNIX_EPOCH,
        };
        insta::assert_snapshot!(page.render(), @r"
        prometheus: scrapes every part of the platform and evaluates the alert rules

        Waiting, 0 of 1 pods ready: waits for cilium-agent

        starts when these are healthy:
          cilium-agent (Degraded)
          the first of these that is not healthy is where to look: gloonet explain NAME

        objects:
          Deployment gloo-mesh/prometheus-server
        ");
    }
}
