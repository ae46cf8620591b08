//! Answers the proxy gives itself, in the API server's words.

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use super::serve::Body;

/// `metav1.Status` of a failure.
fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn response(code: StatusCode, body: &Value) -> Response<Body> {
    let text = format!("{body}\n");
    let mut response = Response::new(Full::from(text).map_err(|never| match never {}).boxed());
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
}

pub(super) fn too_many_requests(retry_after: u32) -> Response<Body> {
    let body = status(
        429,
        "TooManyRequests",
        "lab fault: too many requests, please try again later",
    );
    let mut response = response(StatusCode::TOO_MANY_REQUESTS, &body);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    response
}

pub(super) fn internal_error() -> Response<Body> {
    response(
        StatusCode::INTERNAL_SERVER_ERROR,
        &status(500, "InternalError", "lab fault: internal error"),
    )
}

/// A watch learns of an expired version in its stream, everything else in its status.
pub(super) fn gone(watch: bool) -> Response<Body> {
    let body = status(410, "Expired", "lab fault: too old resource version");
    if watch {
        return response(StatusCode::OK, &json!({"type": "ERROR", "object": body}));
    }
    response(StatusCode::GONE, &body)
}

pub(super) fn unreachable(message: &str) -> Response<Body> {
    let body = status(
        503,
        "ServiceUnavailable",
        &format!("lab fault proxy: {message}"),
    );
    response(StatusCode::SERVICE_UNAVAILABLE, &body)
}
