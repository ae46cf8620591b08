//! Filters on what these flows never have. Answering with nothing would say that there was no such traffic.

use super::FilterError;
use crate::proto::flow::FlowFilter;

const NO_L7: &str = "this node does not look into HTTP or DNS";
const NO_NAMES: &str = "this node does not learn DNS names of addresses";

pub(super) fn check(filter: &FlowFilter) -> Result<(), FilterError> {
    let cel = filter
        .experimental
        .as_ref()
        .is_some_and(|experimental| !experimental.cel_expression.is_empty());
    let asked = [
        (
            "http_status_code",
            !filter.http_status_code.is_empty(),
            NO_L7,
        ),
        ("http_method", !filter.http_method.is_empty(), NO_L7),
        ("http_path", !filter.http_path.is_empty(), NO_L7),
        ("http_url", !filter.http_url.is_empty(), NO_L7),
        ("http_header", !filter.http_header.is_empty(), NO_L7),
        ("dns_query", !filter.dns_query.is_empty(), NO_L7),
        ("source_fqdn", !filter.source_fqdn.is_empty(), NO_NAMES),
        (
            "destination_fqdn",
            !filter.destination_fqdn.is_empty(),
            NO_NAMES,
        ),
        (
            "trace_id",
            !filter.trace_id.is_empty(),
            "this node does not see trace contexts",
        ),
        (
            "ip_trace_id",
            !filter.ip_trace_id.is_empty(),
            "this node does not read trace options of IP",
        ),
        (
            "source_ip_xlated",
            !filter.source_ip_xlated.is_empty(),
            "events carry no address from before translation",
        ),
        (
            "experimental.cel_expression",
            cel,
            "expressions are not evaluated here",
        ),
    ];
    match asked.into_iter().find(|(_, asked, _)| *asked) {
        Some((field, _, reason)) => Err(FilterError::Unserved { field, reason }),
        None => Ok(()),
    }
}
