//! How the agent comes to its certificate, and keeps it.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use gloo_api::ClusterName;
use gloo_api::names;
use gloo_relay::{
    client::{Credentials, EnrolCallError, KeyRequest, Server, enrol, renew},
    session::{Backoff, renewal},
    tls::{Identity, Peer},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::secrets::{SecretError, Secrets, text};

/// How soon a new token, or new authorities, are noticed.
const LOOK: Duration = Duration::from_secs(15);

/// Why there is no certificate now.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("a Secret cannot be used")]
    Secret {
        #[from]
        source: SecretError,
    },
    #[error(
        "Secret {}/{} has no ca.crt; gloonet cluster register makes it",
        names::NAMESPACE,
        names::ROOT
    )]
    NoRoots,
    #[error(
        "there is no certificate and no token to get one; run gloonet cluster register {cluster} against the management cluster"
    )]
    NoToken { cluster: ClusterName },
    #[error("the token was refused before; register the cluster again for a new one")]
    UsedToken,
    #[error(
        "the management server signed with another authority than the one in Secret {}/{}; it is asked again",
        names::NAMESPACE,
        names::ROOT
    )]
    OtherAuthority,
    #[error("the management server was asked for a certificate")]
    Call {
        #[from]
        source: EnrolCallError,
    },
}

/// Keeps [`Credentials`] current.
#[derive(Debug)]
pub struct Keeper {
    pub secrets: Secrets,
    pub server: Server,
    pub cluster: ClusterName,
    pub cluster_uid: String,
    pub credentials: watch::Sender<Option<Credentials>>,
    /// Those the server says are revoked.
    pub revoked: watch::Receiver<Option<Credentials>>,
    /// What is wrong, for people.
    pub trouble: watch::Sender<Option<String>>,
}

/// A certificate in use.
struct Held {
    credentials: Credentials,
    /// Seconds since 1970.
    not_before: i64,
    not_after: i64,
    /// The authorities stored with it are those of today.
    current: bool,
}

impl Keeper {
    /// Until `closing`.
    pub async fn run(self, closing: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut refused = None;
        let random = rand::random();
        while !closing.is_cancelled() {
            let pause = match self.turn(&mut refused, random).await {
                Ok(()) => {
                    backoff.reset();
                    self.trouble.send_replace(None);
                    LOOK
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                    let words = format!("{error}{}", cause.unwrap_or_default());
                    if self.trouble.borrow().as_ref() != Some(&words) {
                        tracing::warn!(reason = words, "there is no new certificate");
                    }
                    self.trouble.send_replace(Some(words));
                    backoff.pause(rand::random())
                }
            };
            let _ = closing.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    /// One look: publishes the certificate there is, renews it when that is due, enrols when there is none.
    async fn turn(&self, refused: &mut Option<[u8; 32]>, random: f64) -> Result<(), IdentityError> {
        let roots = self.secrets.text(names::ROOT, "ca.crt").await?;
        let roots = roots.ok_or(IdentityError::NoRoots)?;
        let now = seconds(SystemTime::now());
        match self.held(&roots).await? {
            Some(held) if held.not_after > now && !self.is_revoked(&held.credentials.identity) => {
                let life = span(held.not_before, held.not_after);
                let due = span(held.not_before, now) >= renewal(life, random);
                let credentials = held.credentials;
                self.publish(credentials.clone());
                if due {
                    let request = KeyRequest::new()?;
                    let next = renew(&self.server, &credentials, &request).await?;
                    self.keep(&roots, next.chain, request.key).await?;
                    tracing::info!("the relay certificate was renewed");
                } else if !held.current {
                    // The operator takes a certificate that lies beside another authority for a lost one.
                    let Identity { chain, key } = credentials.identity;
                    self.keep(&roots, chain, key).await?;
                }
                Ok(())
            }
            // Somebody emptied the Secret, and what was in it is still good: a token is not needed.
            _ => match self.remembered(&roots, now) {
                Some(Identity { chain, key }) => self.keep(&roots, chain, key).await,
                None => self.enrol(&roots, refused).await,
            },
        }
    }

    /// The certificate in use, if it is still good under these authorities.
    fn remembered(&self, roots: &str, now: i64) -> Option<Identity> {
        let credentials = self.credentials.borrow();
        let identity = &credentials.as_ref()?.identity;
        let leaf = CertificateDer::from_pem_slice(identity.chain.as_bytes()).ok()?;
        let good = Peer::of(&leaf).ok()?.not_after > now && of_authority(&identity.chain, roots);
        (good && !self.is_revoked(identity)).then(|| identity.clone())
    }

    fn is_revoked(&self, identity: &Identity) -> bool {
        let revoked = self.revoked.borrow();
        revoked
            .as_ref()
            .is_some_and(|revoked| revoked.identity == *identity)
    }

    /// The certificate in the Secret, if it is one for this cluster.
    async fn held(&self, roots: &str) -> Result<Option<Held>, IdentityError> {
        let Some(secret) = self.secrets.secret(names::CLIENT_TLS).await? else {
            let name = names::CLIENT_TLS;
            return Err(SecretError::Missing { name }.into());
        };
        let (Some(chain), Some(key)) = (text(&secret, "tls.crt"), text(&secret, "tls.key")) else {
            return Ok(None);
        };
        let peer = CertificateDer::from_pem_slice(chain.as_bytes())
            .ok()
            .and_then(|leaf| Peer::of(&leaf).ok())
            .filter(|peer| peer.cluster == self.cluster && peer.cluster_uid == self.cluster_uid)
            .filter(|_| of_authority(&chain, roots));
        Ok(peer.map(|peer| Held {
            credentials: Credentials {
                roots: roots.to_owned(),
                identity: Identity { chain, key },
            },
            not_before: peer.not_before,
            not_after: peer.not_after,
            current: text(&secret, "ca.crt").as_deref() == Some(roots),
        }))
    }

    /// Trades the token. The key is stored first: an answer lost on the way is asked for again with the same key.
    async fn enrol(
        &self,
        roots: &str,
        refused: &mut Option<[u8; 32]>,
    ) -> Result<(), IdentityError> {
        let token = self.secrets.text(names::TOKEN, "token").await?;
        let token = token.ok_or_else(|| IdentityError::NoToken {
            cluster: self.cluster.clone(),
        })?;
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        if *refused == Some(hash) {
            return Err(IdentityError::UsedToken);
        }
        let request = self.key_for_token().await?;
        let (cluster, uid) = (&self.cluster, &self.cluster_uid);
        match enrol(&self.server, roots, cluster, uid, &token, &request).await {
            // The same token is good for the same key again, once the server has read its new authority.
            Ok(certificate) if !of_authority(&certificate.chain, roots) => {
                Err(IdentityError::OtherAuthority)
            }
            Ok(certificate) => {
                tracing::info!(cluster = %self.cluster, "the cluster is enrolled");
                self.keep(roots, certificate.chain, request.key).await
            }
            Err(error) => {
                if !error.passes() {
                    *refused = Some(hash);
                }
                Err(error.into())
            }
        }
    }

    /// The key of an earlier attempt, or of the certificate that is no good any more: a token is good again only for the key it
    /// was used with, and it may have been used with this one, for an authority that is gone. Without one, a new key; and
    /// after a revocation too, for then somebody else may have the old one.
    async fn key_for_token(&self) -> Result<KeyRequest, IdentityError> {
        let stored = self.secrets.secret(names::CLIENT_TLS).await?;
        let of_secret = |name: &str| stored.as_ref().and_then(|secret| text(secret, name));
        let revoked = self.revoked.borrow().is_some();
        let in_use = self
            .credentials
            .borrow()
            .as_ref()
            .map(|held| held.identity.key.clone());
        let pending = of_secret("pending.key");
        let earlier = of_secret("tls.key").or(in_use).filter(|_| !revoked);
        let known = pending.clone().or(earlier);
        let request = match known.as_deref().map(KeyRequest::again) {
            Some(Ok(request)) => request,
            _ => KeyRequest::new()?,
        };
        if pending.as_ref() != Some(&request.key) {
            let mut data = BTreeMap::from([("pending.key", request.key.clone())]);
            if revoked {
                // The token may be the used one, and a server that was wrong about the certificate may take it again.
                let kept = ["tls.crt", "tls.key", "ca.crt"];
                data.extend(
                    kept.iter()
                        .filter_map(|name| Some((*name, of_secret(name)?))),
                );
            }
            self.secrets.replace(names::CLIENT_TLS, data).await?;
        }
        Ok(request)
    }

    async fn keep(&self, roots: &str, chain: String, key: String) -> Result<(), IdentityError> {
        let data = BTreeMap::from([
            ("tls.crt", chain.clone()),
            ("tls.key", key.clone()),
            ("ca.crt", roots.to_owned()),
        ]);
        self.secrets.replace(names::CLIENT_TLS, data).await?;
        self.publish(Credentials {
            roots: roots.to_owned(),
            identity: Identity { chain, key },
        });
        Ok(())
    }

    fn publish(&self, credentials: Credentials) {
        self.credentials.send_if_modified(|current| {
            let changed = current.as_ref() != Some(&credentials);
            *current = Some(credentials);
            changed
        });
    }
}

/// Whether the chain ends in one of the relay's authorities. One of an authority that was replaced opens nothing any more.
fn of_authority(chain: &str, roots: &str) -> bool {
    let read = |text: &str| -> Vec<CertificateDer<'static>> {
        let certificates = CertificateDer::pem_slice_iter(text.as_bytes());
        certificates.filter_map(Result::ok).collect()
    };
    let roots = read(roots);
    read(chain).last().is_some_and(|last| roots.contains(last))
}

fn seconds(time: SystemTime) -> i64 {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn span(from: i64, to: i64) -> Duration {
    Duration::from_secs(u64::try_from(to.saturating_sub(from)).unwrap_or(0))
}

#[cfg(test)]
mod tests;
