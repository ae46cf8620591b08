use gloo_api::ClusterName;

use super::kit::*;
use crate::{
    client::{Credentials, EnrolCallError, KeyRequest, State, enrol, renew},
    enrolment::EnrolError,
    fixture,
    tls::Identity,
};

fn credentials(kit: &Kit, chain: String, request: &KeyRequest) -> Credentials {
    Credentials {
        roots: kit.roots.clone(),
        identity: Identity {
            chain,
            key: request.key.clone(),
        },
    }
}

/// What an agent has that used a token with a key of its own.
async fn enrolled(kit: &Kit, cluster: &ClusterName, token: &str) -> (KeyRequest, Credentials) {
    let request = KeyRequest::new().unwrap();
    let given = enrol(&kit.server(), &kit.roots, cluster, UID, token, &request).await;
    let held = credentials(kit, given.unwrap().chain, &request);
    (request, held)
}

fn message(error: EnrolCallError) -> (tonic::Code, String) {
    match error {
        EnrolCallError::Refused { status } => (status.code(), status.message().to_owned()),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_token_becomes_a_certificate_and_that_the_next() {
    let kit = Kit::start().await;
    let (token, west) = (kit.token("west"), "west".parse().unwrap());
    let (request, held) = enrolled(&kit, &west, &token).await;
    let next = KeyRequest::new().unwrap();
    let second = renew(&kit.server(), &held, &next).await.unwrap();
    let held = credentials(&kit, second.chain, &next);
    assert!(renew(&kit.server(), &held, &next).await.is_ok());
    // Somebody else with the same token.
    let thief = KeyRequest::new().unwrap();
    let refused = enrol(&kit.server(), &kit.roots, &west, UID, &token, &thief).await;
    assert_eq!(
        message(refused.unwrap_err()).0,
        tonic::Code::PermissionDenied
    );
    assert_eq!(*kit.memory.alerts.lock().unwrap(), [EnrolError::Reused]);
    // The answer that was lost.
    let again = KeyRequest::again(&request.key).unwrap();
    assert!(
        enrol(&kit.server(), &kit.roots, &west, UID, &token, &again)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn who_guesses_is_slowed_down_and_told_nothing() {
    let kit = Kit::start().await;
    kit.token("west");
    let west = "west".parse().unwrap();
    let request = KeyRequest::new().unwrap();
    let mut answers = Vec::new();
    for guess in 0..15_u8 {
        let token = gloo_api::enrolment::Token::new([guess; 32]).reveal();
        let refused = enrol(&kit.server(), &kit.roots, &west, UID, &token, &request).await;
        answers.push(message(refused.unwrap_err()));
    }
    let denied = answers
        .iter()
        .filter(|(code, _)| *code == tonic::Code::PermissionDenied)
        .count();
    assert_eq!(denied, 10, "{answers:?}");
    assert!(answers[14].1.contains("too many"));
    // Each is told to who is responsible, those that were slowed down are not.
    assert_eq!(*kit.memory.alerts.lock().unwrap(), [EnrolError::Wrong; 10]);
}

#[tokio::test]
async fn what_is_no_token_at_all_is_refused_like_a_wrong_one_and_told_like_one() {
    let kit = Kit::start().await;
    kit.token("west");
    let west = "west".parse().unwrap();
    let request = KeyRequest::new().unwrap();
    let garbage = "let me in";
    let refused = enrol(&kit.server(), &kit.roots, &west, UID, garbage, &request).await;
    let (code, _) = message(refused.unwrap_err());
    assert_eq!(code, tonic::Code::PermissionDenied);
    assert_eq!(*kit.memory.alerts.lock().unwrap(), [EnrolError::Wrong]);
}

#[tokio::test]
async fn renewal_and_streams_need_a_certificate_of_our_authority() {
    let kit = Kit::start().await;
    let foreign = fixture::authority("foreign");
    let request = KeyRequest::new().unwrap();
    let signer =
        crate::enrolment::Signer::new(&foreign.0, &foreign.1, std::time::Duration::from_mins(1))
            .unwrap();
    let csr = crate::enrolment::Signed::read(&request.csr).unwrap();
    let now = std::time::SystemTime::now();
    let forged = signer
        .client(&"west".parse().unwrap(), UID, 0, &csr, now, [1; 16])
        .unwrap();
    let held = credentials(&kit, forged.chain, &request);
    assert!(renew(&kit.server(), &held, &request).await.is_err());
    // None at all: refused by name of the cure.
    let config = crate::tls::client_config(&kit.roots, None).unwrap();
    let channel = crate::client::dial_for_tests(&kit.server(), config).await;
    let mut client = crate::proto::relay_client::RelayClient::new(channel.clone());
    let status = client
        .connect(futures::stream::pending())
        .await
        .unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    assert!(status.message().contains("enrol"));
    let mut client = crate::proto::enrolment_client::EnrolmentClient::new(channel);
    let renewed = client
        .renew(crate::proto::RenewRequest { csr: request.csr })
        .await;
    assert_eq!(renewed.unwrap_err().code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn an_expired_certificate_renews_nothing() {
    let kit = Kit::with(
        super::super::Limits::default(),
        std::time::Duration::from_secs(1),
    )
    .await;
    let held = kit.credentials("west");
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let request = KeyRequest::new().unwrap();
    assert!(renew(&kit.server(), &held, &request).await.is_err());
}

#[tokio::test]
async fn a_revoked_cluster_is_let_go_refused_and_enrolled_again_with_a_new_token_and_key_only() {
    let kit = Kit::start().await;
    let (token, west) = (kit.token("west"), "west".parse().unwrap());
    let (request, held) = enrolled(&kit, &west, &token).await;
    let mut agent = Agent::start(&kit, held.clone(), "one", 1);
    agent.warmed().await;
    kit.revoke("west");
    // The stream that is open.
    let status = agent
        .wait("refused", |status| status.state == State::Refused)
        .await;
    assert!(status.last_error.unwrap().contains("Revoked"));
    assert_eq!(agent.revoked.borrow().as_ref(), Some(&held));
    // The next one, by the certificate's epoch alone.
    kit.memory.end.send_replace(None);
    let mut thief = Agent::start(&kit, held.clone(), "thief", 2);
    let status = thief
        .wait("refused", |status| status.state == State::Refused)
        .await;
    let said = status.last_error.unwrap();
    assert!(said.contains("gloonet cluster register west"), "{said}");
    // Renewal, and the used token, which otherwise serves its key until it expires.
    let renewed = renew(&kit.server(), &held, &request).await.unwrap_err();
    let (code, said) = message(renewed);
    assert_eq!(code, tonic::Code::PermissionDenied);
    assert!(said.contains("revoked"), "{said}");
    let again = enrol(&kit.server(), &kit.roots, &west, UID, &token, &request).await;
    assert_eq!(message(again.unwrap_err()).0, tonic::Code::PermissionDenied);
    // Registered again: the agent with its new certificate is served, the old certificate is not.
    let (token, next) = (kit.token("west"), KeyRequest::new().unwrap());
    let second = enrol(&kit.server(), &kit.roots, &west, UID, &token, &next)
        .await
        .unwrap();
    let new = credentials(&kit, second.chain, &next);
    agent.credentials.send_replace(Some(new));
    agent.warmed().await;
    assert_eq!(*agent.revoked.borrow(), None);
    assert!(renew(&kit.server(), &held, &request).await.is_err());
    assert!(!thief.status.borrow().warmed);
}
