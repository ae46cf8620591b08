//! Values of Secrets, from the system's randomness.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use gloonet_catalog::{KeyUsage, SecretKind, acl_key};
use rand::{
    Rng,
    distr::{Alphanumeric, SampleString},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ED25519, PublicKeyData,
};
use serde_json::json;
use sha2::{Digest, Sha256};

/// Key of the Secret to value.
pub(super) type Material = BTreeMap<String, Vec<u8>>;

/// The same, where every value is text.
type Texts = BTreeMap<String, String>;

const DAY: Duration = Duration::from_hours(24);
/// Clocks of nodes differ; a certificate of this minute must be good everywhere.
const CLOCK_SKEW: Duration = Duration::from_mins(5);

/// Everything the Secret must hold. `authority` is certificate and key of the issuer in PEM, for leaves.
pub(super) fn make(
    kind: &SecretKind,
    authority: Option<&(String, String)>,
) -> Result<Material, rcgen::Error> {
    complete(kind, authority, None)
}

/// As [`make`], with the password that exists already.
pub(super) fn complete(
    kind: &SecretKind,
    authority: Option<&(String, String)>,
    password: Option<String>,
) -> Result<Material, rcgen::Error> {
    let texts = match kind {
        SecretKind::Key { length } => return Ok(key(*length)),
        SecretKind::Vessel | SecretKind::Token { .. } => return Ok(Material::new()),
        SecretKind::Password { username, length } => Ok(login(username, password, *length)),
        SecretKind::RedisUser {
            username,
            rules,
            length,
        } => {
            let mut made = login(username, password, *length);
            let hash = hex(&Sha256::digest(made["password"].as_bytes()));
            made.insert(
                acl_key(rules),
                format!("user {username} on #{hash} {rules}\n"),
            );
            Ok(made)
        }
        SecretKind::TokenKey => token_key(),
        SecretKind::Ca { common_name, days } => certificate_authority(common_name, *days),
        SecretKind::Leaf {
            common_name,
            dns_names,
            usages,
            days,
            ..
        } => match authority {
            Some((certificate, key)) => {
                leaf((common_name, dns_names, usages, *days), certificate, key)
            }
            None => Err(rcgen::Error::CouldNotParseCertificate),
        },
        SecretKind::Root { .. } => match authority {
            Some((certificate, _)) => Ok([("ca.crt".to_owned(), certificate.clone())].into()),
            None => Err(rcgen::Error::CouldNotParseCertificate),
        },
    };
    let bytes = |(name, text): (String, String)| (name, text.into_bytes());
    texts.map(|texts| texts.into_iter().map(bytes).collect())
}

fn key(length: usize) -> Material {
    let mut bytes = vec![0; length];
    rand::rng().fill_bytes(&mut bytes);
    [("key".to_owned(), bytes)].into()
}

fn token_key() -> Result<Texts, rcgen::Error> {
    let pair = KeyPair::generate_for(&PKCS_ED25519)?;
    let public = BASE64_URL_SAFE_NO_PAD.encode(pair.der_bytes());
    let name: String = hex(&Sha256::digest(pair.der_bytes()))
        .chars()
        .take(16)
        .collect();
    let keys = json!({"keys": [{
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": name, "x": public,
    }]});
    Ok([
        ("key.pem".to_owned(), pair.serialize_pem()),
        ("jwks.json".to_owned(), keys.to_string()),
    ]
    .into())
}

fn login(username: &str, password: Option<String>, length: usize) -> Texts {
    let password = password.unwrap_or_else(|| Alphanumeric.sample_string(&mut rand::rng(), length));
    [
        ("username".to_owned(), username.to_owned()),
        ("password".to_owned(), password),
    ]
    .into()
}

fn certificate_authority(common_name: &str, days: u32) -> Result<Texts, rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut parameters = dated(CertificateParams::new(Vec::new())?, days);
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    // Path length 0: it signs leaves, never another authority (RFC 5280 §4.2.1.9).
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = parameters.self_signed(&key)?.pem();
    Ok([
        ("tls.crt".to_owned(), certificate),
        ("tls.key".to_owned(), key.serialize_pem()),
    ]
    .into())
}

fn leaf(
    (common_name, dns_names, usages, days): (&str, &[String], &[KeyUsage], u32),
    authority: &str,
    authority_key: &str,
) -> Result<Texts, rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(authority, KeyPair::from_pem(authority_key)?)?;
    let key = KeyPair::generate()?;
    let mut parameters = dated(CertificateParams::new(dns_names.to_vec())?, days);
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.use_authority_key_identifier_extension = true;
    parameters.extended_key_usages = usages
        .iter()
        .map(|usage| match usage {
            KeyUsage::ServerAuth => ExtendedKeyUsagePurpose::ServerAuth,
            KeyUsage::ClientAuth => ExtendedKeyUsagePurpose::ClientAuth,
        })
        .collect();
    let certificate = parameters.signed_by(&key, &issuer)?.pem();
    Ok([
        ("tls.crt".to_owned(), certificate),
        ("tls.key".to_owned(), key.serialize_pem()),
        ("ca.crt".to_owned(), authority.to_owned()),
    ]
    .into())
}

fn dated(mut parameters: CertificateParams, days: u32) -> CertificateParams {
    let now = SystemTime::now();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.not_before = (now - CLOCK_SKEW).into();
    parameters.not_after = (now + DAY * days).into();
    parameters
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use x509_parser::{certificate::X509Certificate, extensions::GeneralName, pem::parse_x509_pem};

    use gloonet_catalog::SecretName;

    use super::*;

    fn parsed(material: &Material, check: impl FnOnce(&X509Certificate<'_>)) {
        let (_, block) = parse_x509_pem(&material["tls.crt"]).unwrap();
        check(&block.parse_x509().unwrap());
    }

    fn text(material: &Material, key: &str) -> String {
        String::from_utf8(material[key].clone()).unwrap()
    }

    fn pair() -> (Material, Material) {
        let authority = make(
            &SecretKind::Ca {
                common_name: "GlooNetwork CA".to_owned(),
                days: 3650,
            },
            None,
        )
        .unwrap();
        let kind = SecretKind::Leaf {
            ca: SecretName::new("gloonet-system", "gloonet-ca"),
            common_name: "gateway".to_owned(),
            dns_names: vec!["gateway.gloo-mesh.svc".to_owned()],
            usages: vec![KeyUsage::ServerAuth],
            days: 90,
        };
        let signed = make(
            &kind,
            Some(&(text(&authority, "tls.crt"), text(&authority, "tls.key"))),
        )
        .unwrap();
        (authority, signed)
    }

    #[test]
    fn a_leaf_is_signed_by_its_authority_and_carries_it() {
        let (authority, signed) = pair();
        assert_eq!(signed["ca.crt"], authority["tls.crt"]);
        parsed(&authority, |authority| {
            assert!(authority.is_ca());
            parsed(&signed, |leaf| {
                leaf.verify_signature(Some(authority.public_key())).unwrap();
                assert!(!leaf.is_ca());
                let names = leaf.subject_alternative_name().unwrap().unwrap();
                assert_eq!(
                    names.value.general_names,
                    [GeneralName::DNSName("gateway.gloo-mesh.svc")]
                );
                let usage = leaf.extended_key_usage().unwrap().unwrap().value;
                assert!(usage.server_auth && !usage.client_auth);
            });
        });
    }

    #[test]
    fn two_leaves_never_share_a_key() {
        let (_, first) = pair();
        let (_, second) = pair();
        assert_ne!(first["tls.key"], second["tls.key"]);
    }

    #[test]
    fn a_redis_user_gets_its_line_without_the_password_in_it() {
        let kind = SecretKind::RedisUser {
            username: "gloonet".to_owned(),
            rules: "~* +@all".to_owned(),
            length: 32,
        };
        let made = make(&kind, None).unwrap();
        assert_eq!(made["password"].len(), 32);
        let acl = text(&made, &acl_key("~* +@all"));
        assert!(!acl.contains(&text(&made, "password")));
        assert!(acl.starts_with("user gloonet on #") && acl.ends_with(" ~* +@all\n"));
    }

    #[test]
    fn other_rules_get_their_line_for_the_password_that_exists() {
        let kind = SecretKind::RedisUser {
            username: "gloonet".to_owned(),
            rules: "~a:* +get".to_owned(),
            length: 32,
        };
        assert!(!kind.keys().contains(&acl_key("~* +@all")));
        let made = complete(&kind, None, Some("kept".to_owned())).unwrap();
        assert_eq!(made["password"], b"kept");
        let line = text(&made, &acl_key("~a:* +get"));
        assert!(line.contains(&hex(&Sha256::digest(b"kept"))), "{line}");
    }

    #[test]
    fn a_root_holds_the_authoritys_certificate_and_nothing_of_its_key() {
        let (authority, _) = pair();
        let kind = SecretKind::Root {
            ca: SecretName::new("gloo-mesh", "relay-tls-signing-secret"),
        };
        let of = (text(&authority, "tls.crt"), text(&authority, "tls.key"));
        let made = make(&kind, Some(&of)).unwrap();
        assert_eq!(made, [("ca.crt".to_owned(), of.0.into_bytes())].into());
    }

    #[test]
    fn a_key_has_the_wanted_length_and_is_never_the_same() {
        let make = || make(&SecretKind::Key { length: 32 }, None).unwrap();
        assert_eq!(make()["key"].len(), 32);
        assert_ne!(make(), make());
    }
}
