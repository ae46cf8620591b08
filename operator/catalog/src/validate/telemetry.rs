//! Telemetry that fits the role, and parts of the user's own that cannot get in the way of ours.

use std::collections::{BTreeMap, BTreeSet};

use gloonet_api::extra::ExtraConfig;
use gloonet_api::{GlooNetworkSpec, ManagementState, Role};

use super::Refusal;
use crate::{collectors, gateway, otelcol};

pub(super) fn all(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    let extra = &spec.telemetry.gateway.extra;
    Judge::new("telemetry.gateway.extra", extra, &gateway::NAMES).all(refusals);
    if spec.telemetry.collectors.state == ManagementState::Removed {
        return;
    }
    pipelines(spec, refusals);
    let extra = &spec.telemetry.collectors.extra;
    Judge::new("telemetry.collectors.extra", extra, &collectors::NAMES).all(refusals);
    let field = "telemetry.collectors.state";
    let address = "telemetry.collectors.gatewayAddress";
    let given = spec.telemetry.collectors.gateway_address.as_deref();
    if spec.role == Role::Workload {
        remote(spec, given, refusals);
    } else if given.is_some() {
        let why =
            "the collectors of this cluster send to the gateway of this cluster; leave it out";
        refusals.push(Refusal::new(address, why));
    } else if spec.telemetry.gateway.state == ManagementState::Removed {
        let why = "collectors send to the gateway, and telemetry.gateway.state is Removed";
        refusals.push(Refusal::new(
            field,
            format!("{why}; set {field} to Removed too, or the gateway to Managed"),
        ));
    }
}

fn remote(spec: &GlooNetworkSpec, given: Option<&str>, refusals: &mut Vec<Refusal>) {
    let (field, address) = (
        "telemetry.collectors.state",
        "telemetry.collectors.gatewayAddress",
    );
    match given {
        None => {
            let why = "a cluster of role Workload has no gateway of its own";
            let cure = format!(
                "set {address} to host:port of the one that manages it (its port 4320), or {field} to Removed"
            );
            refusals.push(Refusal::new(field, format!("{why}; {cure}")));
        }
        Some(given) if !super::gloo::is_address(given) => {
            let why = format!("{given:?} is not host:port; write for example 192.0.2.10:4320");
            refusals.push(Refusal::new(address, why));
        }
        Some(_) if spec.gloo.agent.state == ManagementState::Removed => {
            let why = "the agent brings what collectors show the gateway, and gloo.agent.state is Removed";
            let cure = format!("set {field} to Removed too, or the agent to Managed");
            refusals.push(Refusal::new(field, format!("{why}; {cure}")));
        }
        Some(_) => {}
    }
}

fn pipelines(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    let pipelines = &spec.telemetry.collectors.pipelines;
    if !pipelines.logs_analyzer.is_enabled() && spec.gloo.analyzer.state == ManagementState::Managed
    {
        let why = "the analyzer's reports go this way, and gloo.analyzer.state is Managed";
        let cure = "leave the pipeline Enabled, or set the analyzer to Removed";
        refusals.push(Refusal::new(
            "telemetry.collectors.pipelines.logsAnalyzer",
            format!("{why}; {cure}"),
        ));
    }
    of_cilium(spec, refusals);
    let ours = [
        pipelines.logs_analyzer,
        pipelines.logs_cilium_flows,
        pipelines.metrics_ui,
        pipelines.metrics_cilium,
        pipelines.metrics_otlp_relay,
    ];
    let none = !ours.into_iter().any(gloonet_api::Switch::is_enabled);
    if none && spec.telemetry.collectors.extra.pipelines.is_empty() {
        let why = "collectors without a pipeline do not start";
        let cure = "enable one, or set telemetry.collectors.state to Removed";
        refusals.push(Refusal::new(
            "telemetry.collectors.pipelines",
            format!("{why}; {cure}"),
        ));
    }
}

/// What comes from the platform's Cilium is not asked of another one.
fn of_cilium(spec: &GlooNetworkSpec, refusals: &mut Vec<Refusal>) {
    let pipelines = &spec.telemetry.collectors.pipelines;
    let removed = spec.cilium.state == ManagementState::Removed;
    let mut refuse = |pipeline: &str, why: &str, without: &str| {
        let cure = "leave the pipeline Disabled, or switch on what it needs";
        refusals.push(Refusal::new(
            &format!("telemetry.collectors.pipelines.{pipeline}"),
            format!("{why}, and {without}; {cure}"),
        ));
    };
    if pipelines.metrics_cilium.is_enabled() && removed {
        let why = "collectors scrape the platform's agents";
        refuse("metricsCilium", why, "cilium.state is Removed");
    }
    if pipelines.logs_cilium_flows.is_enabled() {
        let why = "the platform's agents write the flows";
        if removed {
            refuse("logsCiliumFlows", why, "cilium.state is Removed");
        } else if !spec.cilium.hubble.state.is_enabled() {
            refuse("logsCiliumFlows", why, "cilium.hubble.state is Disabled");
        }
    }
}

/// What is wrong with one program's extra parts, as far as the operator can know: what is in them is the collector's to judge.
struct Judge<'a> {
    field: &'static str,
    extra: &'a ExtraConfig,
    ours: &'a otelcol::Names,
}

impl<'a> Judge<'a> {
    const fn new(field: &'static str, extra: &'a ExtraConfig, ours: &'a otelcol::Names) -> Self {
        Self { field, extra, ours }
    }

    fn all(&self, refusals: &mut Vec<Refusal>) {
        let (extra, ours) = (self.extra, self.ours);
        let receivers = Names::of(&extra.receivers, ours.receivers);
        let processors = Names::of(&extra.processors, ours.processors);
        let exporters = Names::of(&extra.exporters, ours.exporters);
        let pipelines = Names::of(&extra.pipelines, ours.pipelines);
        self.names("receivers", &receivers, refusals);
        self.names("processors", &processors, refusals);
        self.names("exporters", &exporters, refusals);
        self.names("pipelines", &pipelines, refusals);
        for (name, pipeline) in &extra.pipelines {
            let at = format!("pipelines.{name}");
            self.known(&at, &pipeline.receivers, &receivers, refusals);
            self.known(&at, &pipeline.processors, &processors, refusals);
            self.known(&at, &pipeline.exporters, &exporters, refusals);
        }
        let theirs = Names {
            ours: &[],
            ..exporters
        };
        let also = &extra.also_export;
        self.known("alsoExport.metrics", &also.metrics, &theirs, refusals);
        self.known("alsoExport.logs", &also.logs, &theirs, refusals);
    }

    fn names(&self, section: &str, names: &Names<'_>, refusals: &mut Vec<Refusal>) {
        for name in &names.theirs {
            let why = if names.ours.contains(name) {
                format!(
                    "the platform has one of that name; call it for example {}/mine",
                    type_of(name)
                )
            } else if !is_component_id(name) {
                "write a type, or type/name, such as otlp/mine".to_owned()
            } else {
                continue;
            };
            let field = format!("{}.{section}.{name}", self.field);
            refusals.push(Refusal::new(&field, why));
        }
    }

    /// Each of `used` is a part of the user's or one of ours.
    fn known(&self, at: &str, used: &[String], names: &Names<'_>, refusals: &mut Vec<Refusal>) {
        for name in used {
            if !names.all().any(|there| there == name) {
                let there: Vec<&str> = names.all().collect();
                let field = format!("{}.{at}", self.field);
                let why = format!("{name} is not there; there are {}", there.join(", "));
                refusals.push(Refusal::new(&field, why));
            }
        }
    }
}

/// Names of one section: the user's and ours.
struct Names<'a> {
    theirs: BTreeSet<&'a str>,
    ours: &'a [&'a str],
}

impl<'a> Names<'a> {
    fn of<T>(theirs: &'a BTreeMap<String, T>, ours: &'a [&'a str]) -> Self {
        Self {
            theirs: theirs.keys().map(String::as_str).collect(),
            ours,
        }
    }

    fn all(&self) -> impl Iterator<Item = &'a str> {
        self.theirs.iter().chain(self.ours).copied()
    }
}

fn type_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// `type` or `type/name`, as the collector takes them.
fn is_component_id(name: &str) -> bool {
    let (kind, rest) = name.split_once('/').unwrap_or((name, "a"));
    let starts = kind.starts_with(|first: char| first.is_ascii_alphabetic());
    let word = kind
        .chars()
        .all(|one| one.is_ascii_alphanumeric() || one == '_');
    // What stands in our lists of exporters must not end them.
    let plain = |one: char| one.is_ascii_alphanumeric() || "_-.".contains(one);
    starts && word && !rest.is_empty() && rest.chars().all(plain) && name.len() <= 128
}
