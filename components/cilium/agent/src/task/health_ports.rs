//! Answers load balancers at the health check ports of Services.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use axum::extract::State;
use axum::http::{HeaderName, StatusCode};
use axum::{Json, Router};
use gloonet_daemon::listener;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::services::HealthCheck;

/// By which load balancers weigh nodes; kube-proxy says it, too.
const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");

/// The ports that are open.
#[derive(Debug, Default)]
pub struct HealthPorts(BTreeMap<u16, Open>);

#[derive(Debug)]
struct Open {
    answer: watch::Sender<HealthCheck>,
    /// Ends the answers with this value.
    _stop: DropGuard,
}

impl HealthPorts {
    /// Opens, closes and changes answers. A port that cannot be opened is a sentence, and the others are served.
    pub async fn apply(
        &mut self,
        node: Ipv4Addr,
        checks: BTreeMap<u16, HealthCheck>,
    ) -> Option<String> {
        self.0.retain(|port, _| checks.contains_key(port));
        let mut problem = None;
        for (port, check) in checks {
            if let Some(open) = self.0.get(&port) {
                open.answer.send_if_modified(|known| {
                    let changed = *known != check;
                    *known = check;
                    changed
                });
                continue;
            }
            match TcpListener::bind((node, port)).await {
                Ok(bound) => {
                    self.0.insert(port, open(bound, check));
                }
                Err(error) => {
                    problem = Some(format!(
                        "cannot answer at {node}:{port}, the health check port of Service {}/{}: {error}; load balancers will \
                         take this node for unhealthy until the port is free",
                        check.namespace, check.name
                    ));
                }
            }
        }
        problem
    }
}

fn open(bound: TcpListener, check: HealthCheck) -> Open {
    let (answer, asked) = watch::channel(check);
    let router = Router::new().fallback(tell).with_state(asked);
    let stop = CancellationToken::new();
    listener::serve(bound, router, stop.clone());
    Open {
        answer,
        _stop: stop.drop_guard(),
    }
}

/// Whatever the path: kube-proxy does not look at it either.
async fn tell(
    State(asked): State<watch::Receiver<HealthCheck>>,
) -> (StatusCode, [(HeaderName, String); 1], Json<Value>) {
    let check = asked.borrow().clone();
    let status = if check.local_endpoints == 0 {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    let body = json!({
        "service": {"namespace": check.namespace, "name": check.name},
        "localEndpoints": check.local_endpoints,
        "serviceProxyHealthy": true,
    });
    (
        status,
        [(WEIGHT, check.local_endpoints.to_string())],
        Json(body),
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    fn check(local_endpoints: usize) -> HealthCheck {
        HealthCheck {
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
            local_endpoints,
        }
    }

    async fn free_port() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    }

    async fn ask(port: u16) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let question = b"GET /healthz HTTP/1.1\r\nHost: lb\r\nConnection: close\r\n\r\n";
        stream.write_all(question).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_node_with_endpoints_is_healthy_one_without_is_not_and_a_removed_service_is_silent() {
        let port = free_port().await;
        let mut ports = HealthPorts::default();
        for (number, status) in [(2, "200 OK"), (0, "503 Service Unavailable")] {
            let checks = BTreeMap::from([(port, check(number))]);
            assert_eq!(ports.apply(Ipv4Addr::LOCALHOST, checks).await, None);
            let answer = ask(port).await.unwrap();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status}")),
                "{answer}"
            );
            let weight = format!("x-load-balancing-endpoint-weight: {number}");
            assert!(answer.contains(&weight), "{answer}");
            let count = format!("\"localEndpoints\":{number}");
            assert!(answer.contains(&count), "{answer}");
        }
        ports.apply(Ipv4Addr::LOCALHOST, BTreeMap::new()).await;
        tokio::task::yield_now().await;
        assert!(ask(port).await.is_err());
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_its_service_and_is_opened_once_it_is_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let other = free_port().await;
        let mut ports = HealthPorts::default();
        let checks = BTreeMap::from([(port, check(1)), (other, check(1))]);
        let problem = ports.apply(Ipv4Addr::LOCALHOST, checks.clone()).await;
        let problem = problem.unwrap();
        assert!(
            problem.contains(&port.to_string()) && problem.contains("shop/web"),
            "{problem}"
        );
        assert!(ask(other).await.is_ok());
        drop(taken);
        assert_eq!(ports.apply(Ipv4Addr::LOCALHOST, checks).await, None);
        assert!(ask(port).await.is_ok());
    }
}
