//! STAND-IN for json-mock: serves on `PORT`.

use std::net::SocketAddr;

use anyhow::Context as _;
use cilium_cli_stand_ins::echo;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let port = std::env::var("PORT").unwrap_or_else(|_| "8080".to_owned());
    let port: u16 = port.parse().context("PORT")?;
    eprintln!("STAND-IN this is not json-mock: it answers the paths of cilium-cli's tests only");
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let service = echo::router().into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async move {
            let _ended = terminated.recv().await;
        })
        .await?;
    Ok(())
}
