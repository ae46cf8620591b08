//! Keys of Hubble.

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use cilium_api::{HubbleMetric, names};
use cilium_hubble::export;

use super::{ConfigError, Values, wrong};

const TEN: NonZeroU16 = NonZeroU16::new(10).unwrap();
const FIVE: NonZeroU16 = NonZeroU16::new(5).unwrap();

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
    /// Where flows are written for who collects logs; `None`: nowhere.
    pub export: Option<export::Settings>,
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
        export: export(values)?,
    }))
}

/// Upstream's keys and defaults, but for the group, which is ours: who reads the files need not be root.
fn export(values: &Values<'_>) -> Result<Option<export::Settings>, ConfigError> {
    let (file, group) = ("hubble-export-file-path", "hubble-export-file-group");
    let Some(path) = values.text(file) else {
        return Ok(None);
    };
    if !path.starts_with('/') {
        return Err(wrong(file, path, "a path that begins with /"));
    }
    let megabytes: NonZeroU16 = values.parse(
        "hubble-export-file-max-size-mb",
        TEN,
        "a number of MiB from 1 to 65535",
    )?;
    let backups: NonZeroU16 = values.parse(
        "hubble-export-file-max-backups",
        FIVE,
        "a number of files from 1 to 65535",
    )?;
    let group = values.text(group).map(|text| {
        text.parse()
            .map_err(|_| wrong(group, text, "the number of a group"))
    });
    Ok(Some(export::Settings {
        path: path.into(),
        max_bytes: u64::from(megabytes.get()) << 20,
        backups: backups.get().into(),
        group: group.transpose()?,
    }))
}
