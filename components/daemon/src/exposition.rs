//! `/metrics` in the form the scraper asks for.
//!
//! Metrics are written once, in OpenMetrics 1.0. Who does not say that it reads that gets Prometheus' text format 0.0.4, as
//! from every exporter: cilium-cli and older tools read nothing else.

use std::{fmt, fmt::Write as _};

use axum::{
    Router,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain";
const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/metrics` of what `read` writes in OpenMetrics' form. It may take its time: it has a thread of its own.
pub fn routes<F>(read: F) -> Router
where
    F: Fn() -> Result<String, fmt::Error> + Clone + Send + Sync + 'static,
{
    let answer = async move |headers: HeaderMap| -> Response {
        match tokio::task::spawn_blocking(read).await {
            Ok(Ok(text)) if wants_open_metrics(&headers) => {
                ([(header::CONTENT_TYPE, OPEN_METRICS_TYPE)], text).into_response()
            }
            Ok(Ok(text)) => ([(header::CONTENT_TYPE, TEXT_TYPE)], plain(&text)).into_response(),
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    };
    Router::new().route("/metrics", get(answer))
}

/// RFC 9110, 12.5.1. Of two that are equally welcome OpenMetrics says more.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let best = |wanted: &str| {
        let lines = headers.get_all(header::ACCEPT).iter();
        lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .filter(|range| {
                let media = range.split(';').next().unwrap_or_default();
                media.trim().eq_ignore_ascii_case(wanted)
            })
            .map(quality)
            .fold(0.0, f64::max)
    };
    let open = best(OPEN_METRICS);
    open > 0.0 && open >= best(TEXT)
}

fn quality(range: &str) -> f64 {
    range
        .split(';')
        .find_map(|parameter| parameter.trim().strip_prefix("q="))
        .map_or(1.0, |value| value.trim().parse().unwrap_or(0.0))
}

/// The same metrics in text format 0.0.4, where a family has the name of its samples. Ours have no exemplars, which it
/// lacks.
fn plain(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            if let Some(help) = help.take() {
                let _ = writeln!(text, "# HELP {name}{suffix} {help}");
            }
            let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            let _ = writeln!(text, "{line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(accept: &[&str]) -> bool {
        let values = accept
            .iter()
            .map(|value| (header::ACCEPT, value.parse().unwrap()));
        wants_open_metrics(&values.collect())
    }

    #[test]
    fn openmetrics_is_for_those_who_say_that_they_read_it() {
        assert!(asks(&["application/openmetrics-text"]));
        assert!(asks(&[
            "text/plain;version=0.0.4;q=0.2,application/openmetrics-text;version=1.0.0;q=0.5,*/*;q=0.1"
        ]));
        assert!(asks(&[
            "text/plain;q=0.2",
            "Application/OpenMetrics-Text; q=0.2"
        ]));
    }

    #[test]
    fn everybody_else_gets_plain_text() {
        assert!(!asks(&[]));
        assert!(!asks(&["*/*"]));
        assert!(!asks(&["application/openmetrics-text;q=0"]));
        assert!(!asks(&["application/openmetrics-text;q=nonsense"]));
        assert!(!asks(&["text/plain, application/openmetrics-text;q=0.9"]));
    }

    #[test]
    fn a_family_of_plain_text_has_the_name_of_its_samples() {
        let open = "# HELP cilium_forward_count Packets: # of them.\n\
                    # TYPE cilium_forward_count counter\n\
                    # UNIT cilium_forward_count packets\n\
                    cilium_forward_count_total{direction=\"# TYPE\"} 7\n\
                    # TYPE build info\n\
                    build_info{version=\"1\"} 1\n\
                    # TYPE up gauge\n\
                    up 1\n\
                    # TYPE odd unknown\n\
                    odd 2\n\
                    # HELP took Time.\n\
                    # TYPE took histogram\n\
                    took_bucket{le=\"+Inf\"} 3\n\
                    # EOF\n";
        let text = "# HELP cilium_forward_count_total Packets: # of them.\n\
                    # TYPE cilium_forward_count_total counter\n\
                    cilium_forward_count_total{direction=\"# TYPE\"} 7\n\
                    # TYPE build_info gauge\n\
                    build_info{version=\"1\"} 1\n\
                    # TYPE up gauge\n\
                    up 1\n\
                    # TYPE odd untyped\n\
                    odd 2\n\
                    # HELP took Time.\n\
                    # TYPE took histogram\n\
                    took_bucket{le=\"+Inf\"} 3\n";
        assert_eq!(plain(open), text);
    }
}
