//! The little of the OCI distribution protocol that a digest takes.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests>; the token step is Docker's
//! (<https://distribution.github.io/distribution/spec/auth/token/>), which every public registry asks for.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::{ACCEPT, AUTHORIZATION, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;

use crate::digest::sha256;

/// An index first: its digest holds for every architecture.
const KINDS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

/// A repository on a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    base: String,
    repository: String,
}

impl Name {
    /// Splits `quay.io/prometheus/prometheus`; Docker Hub answers under another host than its images are named by.
    pub fn parse(reference: &str) -> Result<Self> {
        let Some((host, repository)) = reference.split_once('/') else {
            bail!("{reference} names no registry");
        };
        let host = if host == "docker.io" {
            "registry-1.docker.io"
        } else {
            host
        };
        let scheme = if host.starts_with("127.0.0.1") {
            "http"
        } else {
            "https"
        };
        Ok(Self {
            base: format!("{scheme}://{host}"),
            repository: repository.to_owned(),
        })
    }
}

/// A client for public registries.
#[derive(Debug)]
pub struct Registry {
    client: Client,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Registry {
    /// Twenty seconds for each request.
    pub fn new() -> Result<Self> {
        // Another part of the process may have installed one already, which serves as well.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(Duration::from_secs(20))
            .build()
            .context("make an HTTP client")?;
        Ok(Self { client })
    }

    /// The digest behind a tag, computed from the manifest itself and compared with what the registry says.
    pub async fn digest(&self, name: &Name, tag: &str) -> Result<String> {
        let url = format!("{}/v2/{}/manifests/{tag}", name.base, name.repository);
        let mut answer = self.get(&url, None).await?;
        if answer.status() == StatusCode::UNAUTHORIZED {
            let token = self.token(&answer, name).await?;
            answer = self.get(&url, Some(&token)).await?;
        }
        if !answer.status().is_success() {
            bail!("{url} answered {}", answer.status());
        }
        let said = answer
            .headers()
            .get("docker-content-digest")
            .and_then(|value| value.to_str().ok());
        let said = said.map(ToOwned::to_owned);
        let body = answer
            .bytes()
            .await
            .with_context(|| format!("read {url}"))?;
        let computed = sha256(&body);
        match said {
            Some(said) if said != computed => {
                bail!("{url} says {said} and its content has {computed}")
            }
            _ => Ok(computed),
        }
    }

    async fn get(&self, url: &str, token: Option<&str>) -> Result<Response> {
        let mut request = self.client.get(url).header(ACCEPT, KINDS);
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        request.send().await.with_context(|| format!("ask {url}"))
    }

    async fn token(&self, refusal: &Response, name: &Name) -> Result<String> {
        let challenge = refusal
            .headers()
            .get(WWW_AUTHENTICATE)
            .and_then(|value| value.to_str().ok());
        let challenge = challenge.context("the registry wants a login and does not say how")?;
        let field = |wanted: &str| {
            challenge
                .split(['"', ',', ' '])
                .skip_while(|part| *part != format!("{wanted}="))
                .nth(1)
                .map(ToOwned::to_owned)
        };
        let realm = field("realm").with_context(|| format!("no realm in {challenge:?}"))?;
        let scope = format!("scope=repository:{}:pull", name.repository);
        let url = match field("service") {
            Some(service) => format!("{realm}?service={service}&{scope}"),
            None => format!("{realm}?{scope}"),
        };
        let answer = self.get(&url, None).await?;
        if !answer.status().is_success() {
            bail!(
                "{url} answered {}: is the repository public?",
                answer.status()
            );
        }
        let token: Token = answer.json().await.with_context(|| format!("read {url}"))?;
        token
            .token
            .or(token.access_token)
            .with_context(|| format!("{url} gave no token"))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const MANIFEST: &str = r#"{"schemaVersion":2}"#;

    /// A registry that wants a token first; `digest` is the header it sends with the manifest.
    fn serve(digest: String) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let lines: Vec<String> = BufReader::new(&stream)
                    .lines()
                    .map(Result::unwrap)
                    .take_while(|line| !line.is_empty())
                    .collect();
                let authorized = lines
                    .iter()
                    .any(|line| line.to_lowercase() == "authorization: bearer t0k3n");
                let (status, headers, body) = if lines[0]
                    .starts_with("GET /token?service=s&scope=repository:library/redis:pull ")
                {
                    ("200 OK", String::new(), r#"{"token":"t0k3n"}"#)
                } else if authorized {
                    (
                        "200 OK",
                        format!("Docker-Content-Digest: {digest}\r\n"),
                        MANIFEST,
                    )
                } else {
                    let how = format!(
                        "WWW-Authenticate: Bearer realm=\"http://127.0.0.1:{port}/token\",service=\"s\"\r\n"
                    );
                    ("401 Unauthorized", how, "")
                };
                let length = body.len();
                write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
            }
        });
        port
    }

    fn ask(digest: String) -> Result<String> {
        let port = serve(digest);
        let name = Name::parse(&format!("127.0.0.1:{port}/library/redis")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(Registry::new().unwrap().digest(&name, "7.0.15"))
    }

    #[test]
    fn a_digest_is_fetched_with_a_token_and_computed_from_the_content() {
        let digest = sha256(MANIFEST.as_bytes());
        assert_eq!(ask(digest.clone()).unwrap(), digest);
    }

    #[test]
    fn a_registry_whose_header_and_content_disagree_is_refused() {
        let error = ask("sha256:00".to_owned()).unwrap_err().to_string();
        assert!(
            error.contains("says sha256:00 and its content has sha256:"),
            "{error}"
        );
    }

    #[test]
    fn docker_hub_is_asked_where_it_answers() {
        let name = Name::parse("docker.io/library/redis").unwrap();
        assert_eq!(
            name,
            Name {
                base: "https://registry-1.docker.io".into(),
                repository: "library/redis".into()
            }
        );
    }
}
