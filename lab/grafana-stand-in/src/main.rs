//! STAND-IN for Grafana in the lab. `grafana-stand-in` serves as Grafana's server would; `grafana-stand-in check` only reads what is
//! provisioned and ends with an error when Grafana would refuse any of it.

use grafana_stand_in::{Settings, content, server};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let settings = Settings::from_environment(|name| std::env::var(name).ok())?;
    let content = content::load(&settings.provisioning)?;
    for refusal in &content.refused {
        eprintln!("STAND-IN level=error msg=\"dashboard is not loaded\" error=\"{refusal}\"");
    }
    if std::env::args().nth(1).as_deref() == Some("check") {
        anyhow::ensure!(
            content.refused.is_empty(),
            "{} dashboards are refused",
            content.refused.len()
        );
        return Ok(());
    }
    eprintln!(
        "STAND-IN level=info msg=\"this is not Grafana: it serves provisioned dashboards and data sources only\""
    );
    let listener = TcpListener::bind((settings.address, settings.port)).await?;
    axum::serve(listener, server::router(settings, content))
        .with_graceful_shutdown(server::terminated())
        .await?;
    Ok(())
}
