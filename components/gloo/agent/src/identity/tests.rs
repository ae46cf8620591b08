mod kit;

use gloo_relay::client::{State, Status};

use super::*;
use kit::Kit;

/// A block as a certificate's; what is in it does not matter here.
fn certificate(content: &str) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")
}

#[test]
fn a_chain_of_an_authority_that_was_replaced_is_no_certificate() {
    let (leaf, old, new) = (
        certificate("bGVhZg=="),
        certificate("b2xk"),
        certificate("bmV3"),
    );
    let chain = format!("{leaf}{old}");
    assert!(of_authority(&chain, &old));
    assert!(of_authority(&chain, &format!("{new}{old}")));
    assert!(!of_authority(&chain, &new));
    assert!(!of_authority("", &new));
}

/// An agent that was given a token, enrolled, and is connected.
async fn connected() -> (Kit, Keeper, watch::Receiver<Status>) {
    let kit = Kit::start().await;
    let (keeper, mut status) = kit.agent();
    kit.register();
    keeper.turn(&mut None, 0.0).await.unwrap();
    Kit::reaches(&mut status, State::Connected).await;
    (kit, keeper, status)
}

#[tokio::test]
async fn a_revoked_agent_enrols_with_the_next_token_and_never_again_with_the_key_that_may_be_stolen()
 {
    let (kit, keeper, mut status) = connected().await;
    let mut refused = None;
    let stolen = kit.value(names::CLIENT_TLS, "tls.key").unwrap();

    kit.revoke();
    Kit::reaches(&mut status, State::Refused).await;
    // The token in the Secret is the used one. The certificate stays: what a server says it may take back.
    let tried = keeper.turn(&mut refused, 0.0).await.unwrap_err();
    assert!(matches!(tried, IdentityError::Call { .. }), "{tried}");
    assert_eq!(
        kit.value(names::CLIENT_TLS, "tls.key").as_ref(),
        Some(&stolen)
    );
    // Nor is it put back by an agent that remembers it.
    kit.empty(names::CLIENT_TLS);
    let tried = keeper.turn(&mut refused, 0.0).await.unwrap_err();
    assert!(matches!(tried, IdentityError::UsedToken), "{tried}");
    assert_eq!(kit.value(names::CLIENT_TLS, "tls.crt"), None);

    kit.register();
    keeper.turn(&mut refused, 0.0).await.unwrap();
    Kit::reaches(&mut status, State::Connected).await;
    assert_ne!(kit.value(names::CLIENT_TLS, "tls.key"), Some(stolen));
}

#[tokio::test]
async fn a_server_that_was_wrong_about_a_revocation_is_served_with_the_old_certificate_again() {
    let (kit, keeper, mut status) = connected().await;
    let mut refused = None;
    let before = kit.record();
    kit.revoke();
    Kit::reaches(&mut status, State::Refused).await;
    assert!(keeper.turn(&mut refused, 0.0).await.is_err());
    kit.put_back(before);
    Kit::reaches(&mut status, State::Connected).await;
    keeper.turn(&mut refused, 0.0).await.unwrap();
}

/// The next certificate is not the revoked one, although the relay's client has not been let in with it yet.
#[tokio::test]
async fn only_the_certificate_that_was_revoked_is_given_up() {
    let kit = Kit::start().await;
    let (mut keeper, _) = kit.agent();
    let revoked = watch::Sender::new(None);
    keeper.revoked = revoked.subscribe();
    kit.register();
    keeper.turn(&mut None, 0.0).await.unwrap();
    let first = keeper.credentials.borrow().clone();
    revoked.send_replace(first.clone());
    assert!(keeper.turn(&mut None, 0.0).await.is_err());
    kit.register();
    keeper.turn(&mut None, 0.0).await.unwrap();
    let second = keeper.credentials.borrow().clone();
    assert_ne!(second, first);
    keeper.turn(&mut None, 0.0).await.unwrap();
    assert_eq!(*keeper.credentials.borrow(), second);
}
