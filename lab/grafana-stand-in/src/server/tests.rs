use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::dashboards::Dashboard;
use crate::datasources::Datasource;

/// Starts the server on loopback; it ends with the test's runtime.
async fn started() -> SocketAddr {
    let settings = Settings {
        address: [127, 0, 0, 1].into(),
        port: 0,
        user: "admin".to_owned(),
        password: "s3cret".to_owned(),
        provisioning: PathBuf::new(),
    };
    let json = json!({"uid": "one", "title": "GlooNetwork / One", "tags": ["gloonet"]});
    let dashboard = Dashboard {
        uid: "one".to_owned(),
        title: "GlooNetwork / One".to_owned(),
        folder: "F".to_owned(),
        json,
    };
    let source: Datasource = serde_json::from_value(
        json!({"name": "P", "uid": "p", "type": "prometheus", "url": "http://p"}),
    )
    .unwrap();
    let content = Content {
        datasources: vec![source],
        dashboards: vec![dashboard],
        refused: vec![],
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router(settings, content)).await });
    address
}

/// `GET path` with a password or none: the whole answer as text.
async fn get(address: SocketAddr, path: &str, password: Option<&str>) -> String {
    let authorization = password.map_or(String::new(), |password| {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("admin:{password}"));
        format!("Authorization: Basic {basic}\r\n")
    });
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn health_needs_no_password_and_says_that_this_is_a_stand_in() {
    let answer = get(started().await, "/api/health", None).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains("\"database\":\"ok\"") && answer.contains("x-stand-in"),
        "{answer}"
    );
}

#[tokio::test]
async fn everything_else_needs_the_password() {
    let address = started().await;
    for path in [
        "/api/datasources",
        "/api/datasources/uid/p",
        "/api/search",
        "/api/dashboards/uid/one",
    ] {
        for password in [None, Some("wrong")] {
            let answer = get(address, path, password).await;
            assert!(
                answer.starts_with("HTTP/1.1 401"),
                "{path} {password:?}: {answer}"
            );
        }
        assert!(
            get(address, path, Some("s3cret"))
                .await
                .starts_with("HTTP/1.1 200"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_dashboard_is_found_by_uid_and_by_title_and_an_unknown_one_is_not() {
    let address = started().await;
    let found = get(address, "/api/dashboards/uid/one", Some("s3cret")).await;
    assert!(
        found.contains("\"provisioned\":true") && found.contains("GlooNetwork / One"),
        "{found}"
    );
    assert!(
        get(address, "/api/search?query=one", Some("s3cret"))
            .await
            .contains("\"uid\":\"one\"")
    );
    assert!(
        !get(address, "/api/search?query=absent", Some("s3cret"))
            .await
            .contains("\"uid\":\"one\"")
    );
    assert!(
        get(address, "/api/dashboards/uid/two", Some("s3cret"))
            .await
            .starts_with("HTTP/1.1 404")
    );
}
