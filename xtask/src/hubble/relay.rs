//! The relay: it has the flows of all nodes, for whoever shows the client's certificate.

use std::fs;

use anyhow::{Context, Result};
use base64::{Engine, prelude::BASE64_STANDARD};
use cilium_api::names::{HUBBLE_CLIENT_CERTS, HUBBLE_RELAY, NAMESPACE};
use tempfile::TempDir;

use crate::home;
use crate::lab::Lab;

/// Where people find the certificate of those who may read flows.
const CERTIFICATE_NAMESPACE: &str = "gloo-mesh";
const FILES: [&str; 3] = ["ca.crt", "tls.crt", "tls.key"];

/// Where the relay is, and the client's certificate for as long as this lives.
pub(super) struct Relay {
    address: String,
    folder: TempDir,
}

impl Relay {
    pub(super) fn of(lab: &Lab) -> Result<Self> {
        let service = lab
            .get(&["service", HUBBLE_RELAY, "--namespace", NAMESPACE])
            .context(
                "find the relay, which asks all nodes: ./dev gloonet explain hubble-relay says how it is. \
                 With --node NAME one agent is asked, without the relay",
            )?;
        let address = service["spec"]["clusterIP"].as_str();
        let address = address.context("the relay's Service has no address")?;
        let name = HUBBLE_CLIENT_CERTS;
        let secret = lab.get(&["secret", name, "--namespace", CERTIFICATE_NAMESPACE])?;
        // Nodes see this folder under its path on the machine; only root can look into it.
        let folder = tempfile::Builder::new()
            .prefix("client-")
            .tempdir_in(home::cache_folder("hubble")?)
            .context("make a folder for the client's certificate")?;
        for file in FILES {
            let text = secret["data"][file].as_str();
            let text = text.with_context(|| format!("Secret {name} has no {file}"))?;
            let bytes = BASE64_STANDARD.decode(text);
            let bytes = bytes.with_context(|| format!("{file} of Secret {name}"))?;
            fs::write(folder.path().join(file), bytes).context("write the client's certificate")?;
        }
        Ok(Self {
            address: format!("{address}:443"),
            folder,
        })
    }

    pub(super) fn environment(&self) -> [(&'static str, String); 6] {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        [
            ("HUBBLE_SERVER", self.address.clone()),
            ("HUBBLE_TLS", "true".to_owned()),
            (
                "HUBBLE_TLS_SERVER_NAME",
                format!("{HUBBLE_RELAY}.{NAMESPACE}.svc"),
            ),
            ("HUBBLE_TLS_CA_CERT_FILES", file("ca.crt")),
            ("HUBBLE_TLS_CLIENT_CERT_FILE", file("tls.crt")),
            ("HUBBLE_TLS_CLIENT_KEY_FILE", file("tls.key")),
        ]
    }
}
