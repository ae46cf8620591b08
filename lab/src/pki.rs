//! Certificates and keys of one cluster: one authority for everything, made once, kept on disk.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::addressing::{Addressing, KUBERNETES_SERVICE, Ordinal};
use crate::disk;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Generating or signing failed.
    #[error("cannot make the certificate {name}")]
    Make {
        name: String,
        #[source]
        source: rcgen::Error,
    },
    /// Reading or writing failed.
    #[error("cannot keep the certificate {name}")]
    Keep {
        name: String,
        #[source]
        source: disk::Error,
    },
}

/// A certificate to be signed by the cluster's authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// File name without ending.
    pub name: String,
    /// Kubernetes user name.
    pub common_name: String,
    /// Kubernetes group.
    pub organization: Option<String>,
    /// Names a server with this certificate answers to.
    pub dns: Vec<String>,
    /// Addresses a server with this certificate answers at.
    pub ips: Vec<Ipv4Addr>,
}

impl Leaf {
    fn client(name: &str, user: &str, group: Option<&str>) -> Self {
        Self {
            name: name.into(),
            common_name: user.into(),
            organization: group.map(str::to_owned),
            dns: Vec::new(),
            ips: Vec::new(),
        }
    }

    /// The API server's own.
    pub fn api_server(plan: &Addressing) -> Self {
        let names = [
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
        ];
        let mut dns: Vec<String> = names.map(str::to_owned).to_vec();
        dns.push("kubernetes.default.svc.cluster.local".into());
        let ips = vec![
            plan.node(Ordinal::CONTROL_PLANE),
            plan.second_api(),
            KUBERNETES_SERVICE,
            Ipv4Addr::LOCALHOST,
        ];
        Self {
            dns,
            ips,
            ..Self::client("apiserver", "kube-apiserver", None)
        }
    }

    /// What the API server shows to kubelets.
    pub fn kubelet_client() -> Self {
        Self::client(
            "apiserver-kubelet-client",
            "kube-apiserver-kubelet-client",
            Some("system:masters"),
        )
    }

    /// Cluster administrator.
    pub fn admin() -> Self {
        Self::client("admin", "kubernetes-admin", Some("system:masters"))
    }

    /// The fault proxy, which speaks for others by `X-Remote-User`.
    pub fn front_proxy() -> Self {
        Self::client("front-proxy-client", "front-proxy-client", None)
    }

    /// kube-controller-manager.
    pub fn controller_manager() -> Self {
        Self::client("controller-manager", "system:kube-controller-manager", None)
    }

    /// kube-scheduler.
    pub fn scheduler() -> Self {
        Self::client("scheduler", "system:kube-scheduler", None)
    }

    /// A kubelet, as client and as server.
    pub fn kubelet(plan: &Addressing, ordinal: Ordinal) -> Self {
        let node = plan.node_name(ordinal);
        let user = format!("system:node:{node}");
        Self {
            ips: vec![plan.node(ordinal)],
            dns: vec![node.clone()],
            ..Self::client(&format!("kubelet-{node}"), &user, Some("system:nodes"))
        }
    }
}

/// The folder of certificates of one cluster.
#[derive(Debug, Clone)]
pub struct Pki {
    dir: PathBuf,
}

impl Pki {
    /// The certificates kept in `dir`.
    pub fn at(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Path of a certificate.
    pub fn cert(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.crt"))
    }

    /// Path of a private key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.key"))
    }

    /// Text of a certificate and of its key.
    pub fn pair(&self, name: &str) -> Result<(String, String), Error> {
        let keep = |source| Error::Keep {
            name: name.into(),
            source,
        };
        Ok((
            disk::read(&self.cert(name)).map_err(keep)?,
            disk::read(&self.key(name)).map_err(keep)?,
        ))
    }

    /// Text of the authority's certificate.
    pub fn authority(&self) -> Result<String, Error> {
        disk::read(&self.cert("ca")).map_err(|source| Error::Keep {
            name: "ca".into(),
            source,
        })
    }

    /// Makes the authority and the service account key, unless they are there.
    pub fn ensure_roots(&self) -> Result<(), Error> {
        if !self.cert("ca").exists() {
            let (cert, key) = make_authority().map_err(|source| Error::Make {
                name: "ca".into(),
                source,
            })?;
            self.keep("ca", &cert, &key)?;
        }
        if !self.dir.join("sa.pub").exists() {
            let made = |source| Error::Make {
                name: "sa".into(),
                source,
            };
            let kept = |source| Error::Keep {
                name: "sa".into(),
                source,
            };
            let pair = KeyPair::generate().map_err(made)?;
            disk::write_secret(&self.key("sa"), &pair.serialize_pem()).map_err(kept)?;
            disk::write(&self.dir.join("sa.pub"), &pair.public_key_pem()).map_err(kept)?;
        }
        Ok(())
    }

    /// Makes a certificate, unless it is there.
    pub fn ensure(&self, leaf: &Leaf) -> Result<(), Error> {
        // The key is written first, so a certificate that is there has its key.
        if self.cert(&leaf.name).exists() {
            return Ok(());
        }
        let (ca_cert, ca_key) = self.pair("ca")?;
        let (cert, key) = sign(leaf, &ca_cert, &ca_key).map_err(|source| Error::Make {
            name: leaf.name.clone(),
            source,
        })?;
        self.keep(&leaf.name, &cert, &key)
    }

    fn keep(&self, name: &str, cert: &str, key: &str) -> Result<(), Error> {
        let keep = |source| Error::Keep {
            name: name.into(),
            source,
        };
        disk::write_secret(&self.key(name), key).map_err(keep)?;
        disk::write(&self.cert(name), cert).map_err(keep)
    }
}

fn params(common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
    params
}

fn make_authority() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = params("gloonet-lab");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

fn sign(leaf: &Leaf, ca_cert: &str, ca_key: &str) -> Result<(String, String), rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(ca_cert, KeyPair::from_pem(ca_key)?)?;
    let key = KeyPair::generate()?;
    let mut params = params(&leaf.common_name);
    if let Some(group) = &leaf.organization {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    for name in &leaf.dns {
        params
            .subject_alt_names
            .push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.extend(
        leaf.ips
            .iter()
            .map(|ip| SanType::IpAddress(IpAddr::V4(*ip))),
    );
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    if !leaf.ips.is_empty() {
        params
            .extended_key_usages
            .push(ExtendedKeyUsagePurpose::ServerAuth);
    }
    params.use_authority_key_identifier_extension = true;
    Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::at(dir.path().to_owned());
        let plan = Addressing::new("default".parse().unwrap(), 0);
        pki.ensure_roots().unwrap();
        pki.ensure(&Leaf::api_server(&plan)).unwrap();
        let first = (pki.authority().unwrap(), pki.pair("apiserver").unwrap());
        pki.ensure_roots().unwrap();
        pki.ensure(&Leaf::api_server(&plan)).unwrap();
        assert_eq!(
            first,
            (pki.authority().unwrap(), pki.pair("apiserver").unwrap())
        );
    }

    #[test]
    fn a_kubelet_is_a_node_user_and_serves_under_its_name_and_address() {
        let plan = Addressing::new("east".parse().unwrap(), 1);
        let leaf = Leaf::kubelet(&plan, Ordinal::worker(1).unwrap());
        assert_eq!(leaf.common_name, "system:node:east-worker-1");
        assert_eq!(leaf.organization.as_deref(), Some("system:nodes"));
        assert_eq!(
            (leaf.dns, leaf.ips),
            (
                vec!["east-worker-1".into()],
                vec![Ipv4Addr::new(172, 30, 1, 11)]
            )
        );
    }
}
