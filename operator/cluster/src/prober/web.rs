//! HTTP GET, without proxies, redirects, TLS or tokens.

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{Request, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::{ProbeError, innermost};

/// Longest answer that is read.
const LONGEST: usize = 4 * 1024 * 1024;
/// Characters of an error page that are repeated in a sentence.
const QUOTED: usize = 160;

pub(super) struct Web {
    plain: Client<HttpConnector, Empty<&'static [u8]>>,
}

impl Web {
    pub(super) fn new() -> Self {
        // No idle connections: a pod that went must not be found alive by an old one.
        Self {
            plain: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build_http(),
        }
    }

    /// Body of a 2xx answer. `address` is `host:port`, or a URL without TLS, to which `path` is added.
    pub(super) async fn get(
        &self,
        address: &str,
        path: &str,
        login: Option<&(String, String)>,
    ) -> Result<String, ProbeError> {
        let basic = login.map(|(user, password)| {
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        });
        let url = if address.starts_with("http://") {
            format!("{address}{path}")
        } else {
            format!("http://{address}{path}")
        };
        let mut request = Request::get(url);
        if let Some(basic) = basic {
            request = request.header(header::AUTHORIZATION, basic);
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| ProbeError::Connect(error.to_string()))?;
        let answer = self
            .plain
            .request(request)
            .await
            .map_err(|error| ProbeError::Connect(innermost(&error)))?;
        let code = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|error| ProbeError::Answer {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        judge(
            code,
            path,
            String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        )
    }
}

fn judge(code: u16, path: &str, body: String) -> Result<String, ProbeError> {
    if (200..300).contains(&code) {
        return Ok(body);
    }
    let quote: String = body
        .trim()
        .chars()
        .take(QUOTED)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    let said = if quote.is_empty() {
        String::new()
    } else {
        format!(": {quote}")
    };
    Err(ProbeError::Code {
        code,
        path: path.to_owned(),
        said,
    })
}
