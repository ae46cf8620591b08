//! Keys of Hubble.

use std::net::SocketAddr;
use std::path::PathBuf;

use cilium_api::{HubbleMetric, names};

use super::{ConfigError, Values, wrong};

/// How flows are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hubble {
    /// For root of the node.
    pub socket: PathBuf,
    /// For clients with a certificate; `None`: the socket only.
    pub listen: Option<HubbleListen>,
    /// Flows that are kept.
    pub capacity: u16,
    pub metrics: Vec<HubbleMetric>,
}

/// The port of Hubble and what it proves itself and its clients by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubbleListen {
    pub address: SocketAddr,
    pub certificate: PathBuf,
    pub key: PathBuf,
    pub client_authority: PathBuf,
}

/// Upstream's keys. An unencrypted port is not offered: whoever reached it would read everybody's flows.
pub(super) fn read(values: &Values<'_>) -> Result<Option<Hubble>, ConfigError> {
    if !values.parse("enable-hubble", false, "true or false")? {
        return Ok(None);
    }
    values.one_of(
        "hubble-disable-tls",
        "false",
        "false: the port is served with mutual TLS only",
    )?;
    let socket = values.text("hubble-socket-path");
    let file = |key| values.text(key).map(PathBuf::from);
    let files = (
        file("hubble-tls-cert-file"),
        file("hubble-tls-key-file"),
        file("hubble-tls-client-ca-files"),
    );
    let address = values.listen("hubble-listen-address")?;
    let listen = match (address, files) {
        (None, _) => None,
        (Some(address), (Some(certificate), Some(key), Some(client_authority))) => {
            Some(HubbleListen {
                address,
                certificate,
                key,
                client_authority,
            })
        }
        (Some(address), _) => {
            return Err(wrong(
                "hubble-listen-address",
                &address.to_string(),
                "set together with hubble-tls-cert-file, hubble-tls-key-file and hubble-tls-client-ca-files",
            ));
        }
    };
    Ok(Some(Hubble {
        socket: socket.unwrap_or(names::HUBBLE_SOCKET).into(),
        listen,
        capacity: values.parse(
            "hubble-event-buffer-capacity",
            4095,
            "a number from 1 to 65535",
        )?,
        metrics: HubbleMetric::list(
            values
                .text("hubble-metrics")
                .unwrap_or_default()
                .split_whitespace(),
        )?,
    }))
}
