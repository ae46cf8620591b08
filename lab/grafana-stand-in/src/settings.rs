//! The environment variables of Grafana that are understood.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// Where to listen, whom to let in, what to read.
#[derive(Clone)]
pub struct Settings {
    pub address: IpAddr,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub provisioning: PathBuf,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Settings")
            .field("port", &self.port)
            .field("provisioning", &self.provisioning)
            .finish_non_exhaustive()
    }
}

/// The environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{name} names {path}, which cannot be read")]
    File {
        name: &'static str,
        path: String,
        source: std::io::Error,
    },
    #[error("{name} and {name}__FILE are both set; Grafana takes one")]
    Both { name: &'static str },
    #[error("GF_SERVER_HTTP_PORT is {given:?}, which is no port")]
    Port { given: String },
    #[error("GF_SERVER_HTTP_ADDR is {given:?}, which is no address")]
    Address { given: String },
}

impl Settings {
    /// Reads the variables through `variable`; what is absent has Grafana's default (user and password `admin`).
    pub fn from_environment(
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        let port = variable("GF_SERVER_HTTP_PORT");
        let port = port
            .map(|given| given.parse().map_err(|_| SettingsError::Port { given }))
            .transpose()?;
        let address = variable("GF_SERVER_HTTP_ADDR").filter(|given| !given.is_empty());
        let address = address
            .map(|given| given.parse().map_err(|_| SettingsError::Address { given }))
            .transpose()?;
        Ok(Self {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            port: port.unwrap_or(3000),
            user: secret(&variable, "GF_SECURITY_ADMIN_USER")?
                .unwrap_or_else(|| "admin".to_owned()),
            password: secret(&variable, "GF_SECURITY_ADMIN_PASSWORD")?
                .unwrap_or_else(|| "admin".to_owned()),
            provisioning: variable("GF_PATHS_PROVISIONING")
                .unwrap_or_else(|| "/etc/grafana/provisioning".to_owned())
                .into(),
        })
    }
}

/// A variable, or the content of the file that its sister with `__FILE` names.
fn secret(
    variable: impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<Option<String>, SettingsError> {
    match (variable(name), variable(&format!("{name}__FILE"))) {
        (Some(_), Some(_)) => Err(SettingsError::Both { name }),
        (plain, None) => Ok(plain),
        (None, Some(path)) => match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned())),
            Err(source) => Err(SettingsError::File { name, path, source }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::from_environment(find)
    }

    #[test]
    fn without_variables_it_is_grafanas_defaults() {
        let settings = settings(&[]).unwrap();
        assert_eq!((settings.port, settings.user.as_str()), (3000, "admin"));
        assert_eq!(
            settings.provisioning,
            PathBuf::from("/etc/grafana/provisioning")
        );
    }

    #[test]
    fn the_password_is_read_from_the_file_without_its_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "s3cret\n").unwrap();
        let settings =
            settings(&[("GF_SECURITY_ADMIN_PASSWORD__FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(settings.password, "s3cret");
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn a_missing_password_file_a_doubled_password_and_a_wrong_port_are_refused() {
        let missing = settings(&[("GF_SECURITY_ADMIN_PASSWORD__FILE", "/does/not/exist")]);
        assert!(matches!(missing, Err(SettingsError::File { .. })));
        let both = settings(&[
            ("GF_SECURITY_ADMIN_PASSWORD", "a"),
            ("GF_SECURITY_ADMIN_PASSWORD__FILE", "/b"),
        ]);
        assert!(matches!(both, Err(SettingsError::Both { .. })));
        assert!(matches!(
            settings(&[("GF_SERVER_HTTP_PORT", "http")]),
            Err(SettingsError::Port { .. })
        ));
    }
}
