use std::time::{Duration, SystemTime};

use gloo_api::{
    ClusterName,
    enrolment::{Token, TokenError, TokenRecord},
};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, IsCa, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::*;
use crate::{fixture, proto::Certificate, tls::Peer};

const UID: &str = "5a3c1e1e-0000-4000-8000-000000000001";

fn west() -> ClusterName {
    "west".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn token() -> Token {
    Token::new([7; 32])
}

fn record() -> TokenRecord {
    TokenRecord::new(
        &west(),
        &token(),
        at(0),
        SignedDuration::from_mins(10),
        None,
    )
}

fn used() -> TokenRecord {
    verify(Some(&record()), &west(), UID, &token(), [1; 32], at(1)).unwrap()
}

#[test]
fn a_token_reads_back_and_its_debug_form_is_silent() {
    let text = token().reveal();
    assert_eq!(text.len(), 43);
    assert_eq!(Token::parse(&text), Ok(token()));
    assert!(!format!("{:?}", token()).contains(&text[..8]));
    for bad in ["", "short", &format!("{text}A"), &text.replace('B', "!")] {
        assert_eq!(Token::parse(bad), Err(TokenError), "{bad}");
    }
}

#[test]
fn what_is_stored_does_not_hold_the_token() {
    let stored = serde_json::to_string(&record()).unwrap();
    assert!(!stored.contains(&token().reveal()));
    assert_eq!(
        serde_json::from_str::<TokenRecord>(&stored).unwrap(),
        record()
    );
}

#[test]
fn a_token_is_bound_to_the_uid_and_the_key_of_its_first_use() {
    let used = used();
    assert_eq!(used.cluster_uid.as_deref(), Some(UID));
    let again = |uid, key| verify(Some(&used), &west(), uid, &token(), key, at(2));
    assert_eq!(again(UID, [1; 32]), Ok(used.clone()));
    assert_eq!(again(UID, [2; 32]), Err(EnrolError::Reused));
    assert_eq!(again("other", [1; 32]), Err(EnrolError::OtherCluster));
}

#[test]
fn a_token_that_is_wrong_old_or_for_another_cluster_is_refused() {
    let record = record();
    let east: ClusterName = "east".parse().unwrap();
    let verify = |record, cluster: &ClusterName, token: &Token, now| {
        verify(record, cluster, UID, token, [1; 32], now).unwrap_err()
    };
    let other = Token::new([8; 32]);
    assert_eq!(
        verify(Some(&record), &west(), &other, at(1)),
        EnrolError::Wrong
    );
    assert_eq!(verify(None, &west(), &token(), at(1)), EnrolError::Wrong);
    assert_eq!(
        verify(Some(&record), &east, &token(), at(1)),
        EnrolError::Wrong
    );
    assert_eq!(
        verify(Some(&record), &west(), &token(), at(600)),
        EnrolError::Expired
    );
}

#[test]
fn a_damaged_record_accepts_nothing_not_even_a_token_of_zeros() {
    let damaged = TokenRecord {
        sha256: String::new(),
        ..record()
    };
    let refused = verify(Some(&damaged), &west(), UID, &token(), [1; 32], at(1));
    assert_eq!(refused, Err(EnrolError::Wrong));
}

#[test]
fn a_token_lives_an_hour_at_most() {
    let long = TokenRecord::new(
        &west(),
        &token(),
        at(0),
        SignedDuration::from_hours(48),
        None,
    );
    assert_eq!(long.expires, at(3600));
}

#[test]
fn a_new_registration_keeps_uid_and_epoch() {
    let mut before = used();
    before.epoch += 1;
    let next = TokenRecord::new(
        &west(),
        &Token::new([9; 32]),
        at(100),
        SignedDuration::from_mins(1),
        Some(&before),
    );
    assert_eq!((next.epoch, next.used_by.is_none()), (1, true));
    let elsewhere = verify(
        Some(&next),
        &west(),
        "other",
        &Token::new([9; 32]),
        [3; 32],
        at(101),
    );
    assert_eq!(elsewhere, Err(EnrolError::OtherCluster));
}

fn sign(csr: &[u8]) -> Result<Certificate, SignerError> {
    let (certificate, key) = fixture::authority("clients");
    let signer = Signer::new(&certificate, &key, Duration::from_mins(10))?;
    let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
    signer.client(&west(), UID, 3, &Signed::read(csr)?, now, [5; 16])
}

fn greedy() -> Vec<u8> {
    let mut wanted = CertificateParams::new(vec![
        "east".to_owned(),
        "gloo-mesh-mgmt-server.gloo-mesh".to_owned(),
    ])
    .unwrap();
    wanted.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wanted
        .subject_alt_names
        .push(SanType::URI("gloonet://east/x?epoch=9".try_into().unwrap()));
    wanted.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    wanted.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    // What rcgen itself would refuse to read is in no request here: the signer must not even look.
    wanted.is_ca = IsCa::NoCa;
    wanted
        .serialize_request(&KeyPair::generate().unwrap())
        .unwrap()
        .der()
        .to_vec()
}

#[test]
fn only_the_key_of_a_request_gets_into_the_certificate() {
    let certificate = sign(&greedy()).unwrap();
    let leaf = CertificateDer::pem_slice_iter(certificate.chain.as_bytes())
        .next()
        .unwrap()
        .unwrap();
    let peer = Peer::of(&leaf).unwrap();
    assert_eq!(peer.cluster, west());
    assert_eq!((peer.cluster_uid.as_str(), peer.epoch), (UID, 3));
    let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
    assert!(!parsed.is_ca());
    let names = parsed.subject_alternative_name().unwrap().unwrap();
    assert_eq!(names.value.general_names.len(), 2);
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    let usage = parsed.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign());
    assert_eq!(parsed.subject().to_string(), "CN=west");
    assert_eq!(certificate.not_after, 1_800_000_600);
    assert_eq!(parsed.validity().not_after.timestamp(), 1_800_000_600);
}

#[test]
fn a_certificate_is_good_for_clocks_five_minutes_apart() {
    let certificate = sign(&greedy()).unwrap();
    let leaf = CertificateDer::from_pem_slice(certificate.chain.as_bytes()).unwrap();
    let (_, parsed) = X509Certificate::from_der(&leaf).unwrap();
    // Signed at 1_800_000_000 by the server's clock.
    assert_eq!(parsed.validity().not_before.timestamp(), 1_799_999_700);
    assert!(parsed.validity().not_after.timestamp() >= 1_800_000_300);
}

#[test]
fn garbage_a_foreign_signature_and_long_requests_are_refused() {
    assert!(matches!(sign(b"garbage"), Err(SignerError::Request { .. })));
    let long = vec![0; CSR_BYTES + 1];
    assert!(matches!(sign(&long), Err(SignerError::Long { .. })));
    let mut forged = greedy();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(sign(&forged), Err(SignerError::Request { .. })));
}
