use gloonet_api::{ManagementState, Switch};
use serde_json::json;

use super::{names, refused};

#[test]
fn a_part_of_the_users_with_a_name_of_ours_is_refused_and_one_that_is_missing_is_named() {
    let extra = |json: serde_json::Value| {
        refused(|spec| spec.telemetry.gateway.extra = serde_json::from_value(json).unwrap())
    };
    let refusals = extra(json!({"exporters": {"prometheus": {}}}));
    names(
        &refusals,
        &[
            "telemetry.gateway.extra.exporters.prometheus",
            "prometheus/mine",
        ],
    );
    let refusals = extra(json!({"exporters": {"otlp/mine], x: [": {}}}));
    names(
        &refusals,
        &["telemetry.gateway.extra.exporters", "type/name"],
    );
    let refusals = extra(json!({"alsoExport": {"metrics": ["otlp/mine"]}}));
    names(&refusals, &["alsoExport.metrics", "otlp/mine is not there"]);
    let pipeline =
        json!({"receivers": ["otlp"], "processors": ["nobody"], "exporters": ["prometheus"]});
    let refusals = extra(json!({"pipelines": {"metrics/mine": pipeline}}));
    names(
        &refusals,
        &[
            "pipelines.metrics/mine",
            "nobody is not there",
            "memory_limiter",
        ],
    );
}

#[test]
fn a_pipeline_that_something_needs_is_not_switched_off() {
    let refusals = refused(|spec| {
        spec.telemetry.collectors.pipelines.logs_analyzer = Switch::Disabled;
    });
    names(
        &refusals,
        &[
            "telemetry.collectors.pipelines.logsAnalyzer",
            "gloo.analyzer.state",
        ],
    );
    let refusals = refused(|spec| {
        let pipelines = &mut spec.telemetry.collectors.pipelines;
        pipelines.logs_analyzer = Switch::Disabled;
        pipelines.metrics_ui = Switch::Disabled;
        spec.gloo.analyzer.state = ManagementState::Removed;
    });
    names(
        &refusals,
        &["telemetry.collectors.pipelines", "do not start"],
    );
}

#[test]
fn the_rest_of_ciliums_metrics_is_not_asked_of_a_cilium_that_is_not_the_platforms() {
    let refusals = refused(|spec| {
        spec.cilium.state = ManagementState::Removed;
        spec.telemetry.collectors.pipelines.metrics_cilium = Switch::Enabled;
    });
    names(
        &refusals,
        &[
            "telemetry.collectors.pipelines.metricsCilium",
            "cilium.state is Removed",
        ],
    );
}

#[test]
fn flows_are_not_collected_where_no_agent_of_the_platform_writes_any() {
    let field = "telemetry.collectors.pipelines.logsCiliumFlows";
    let refusals = refused(|spec| {
        spec.telemetry.collectors.pipelines.logs_cilium_flows = Switch::Enabled;
        spec.cilium.hubble.state = Switch::Disabled;
    });
    names(&refusals, &[field, "cilium.hubble.state is Disabled"]);
    let refusals = refused(|spec| {
        spec.telemetry.collectors.pipelines.logs_cilium_flows = Switch::Enabled;
        spec.cilium.state = ManagementState::Removed;
    });
    names(&refusals, &[field, "cilium.state is Removed"]);
}
