//! One-time tokens by which agents of clusters get their first certificate, and what is stored of them.
//!
//! The token is shown once, to the person who registers the cluster; the management cluster keeps a hash of it in the Secret
//! `relay-enrolment-tokens`, one key per cluster. Whoever registers writes the entry, the management server judges by it.

use std::fmt;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::{SignedDuration, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ClusterName;

/// 256 random bits. Shown once, to the person who registers the cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Token([u8; 32]);

/// A text that is no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no enrolment token; a token has 43 letters, digits, '-' and '_'")]
pub struct TokenError;

impl Token {
    /// `entropy` comes from the system's randomness and is used for nothing else.
    pub fn new(entropy: [u8; 32]) -> Self {
        Self(entropy)
    }

    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let mut bytes = [0; 32];
        let length = BASE64_URL_SAFE_NO_PAD
            .decode_slice(text.trim_ascii(), &mut bytes)
            .map_err(|_| TokenError)?;
        (length == 32).then_some(Self(bytes)).ok_or(TokenError)
    }

    /// The text that [`Self::parse`] reads. A secret.
    pub fn reveal(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What is stored of it. A plain hash will do: 256 bits cannot be guessed from it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

/// Never the token.
impl fmt::Debug for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Token(…)")
    }
}

/// How long a token may be good for.
pub const LONGEST_TTL: SignedDuration = SignedDuration::from_hours(1);

/// One cluster's entry in the Secret `relay-enrolment-tokens`, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenRecord {
    pub cluster: String,
    /// SHA-256 of the token, in base64 without padding; empty where a revocation took the token.
    pub sha256: String,
    pub expires: Timestamp,
    /// Certificates of an older epoch are revoked.
    #[serde(default)]
    pub epoch: u64,
    /// The UID the cluster was first enrolled with. A later token is for the same one; to enrol another cluster under the name,
    /// its entry is deleted first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_uid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Use>,
}

/// Who used the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Use {
    /// SHA-256 of the public key, in base64 without padding.
    pub key_sha256: String,
    pub at: Timestamp,
}

impl TokenRecord {
    /// For a new registration; `ttl` is cut to [`LONGEST_TTL`]. `before` is the cluster's entry so far: its UID and epoch stay.
    pub fn new(
        cluster: &ClusterName,
        token: &Token,
        now: Timestamp,
        ttl: SignedDuration,
        before: Option<&Self>,
    ) -> Self {
        let expires = now.saturating_add(ttl.min(LONGEST_TTL)).unwrap_or(now);
        Self {
            cluster: cluster.to_string(),
            sha256: BASE64_STANDARD_NO_PAD.encode(token.hash()),
            expires: expires.round(Unit::Second).unwrap_or(expires),
            epoch: before.map_or(0, |before| before.epoch),
            cluster_uid: before.and_then(|before| before.cluster_uid.clone()),
            used_by: None,
        }
    }

    /// With every certificate given so far below its epoch, and no token: the last one would be good again for the key that
    /// used it, which is the stolen one. `None`: it was revoked, and nobody registered the cluster since.
    pub fn revoked(&self, now: Timestamp) -> Option<Self> {
        if self.sha256.is_empty() {
            return None;
        }
        Some(Self {
            sha256: String::new(),
            expires: now.round(Unit::Second).unwrap_or(now),
            epoch: self.epoch.saturating_add(1),
            used_by: None,
            ..self.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_good_for_an_hour_at_most() {
        let (cluster, token) = ("east".parse().unwrap(), Token::new([7; 32]));
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        for (asked, given) in [(1, 1), (60, 60), (61, 60), (60 * 24 * 365, 60)] {
            let ttl = SignedDuration::from_mins(asked);
            let record = TokenRecord::new(&cluster, &token, now, ttl, None);
            assert_eq!(record.expires, now + SignedDuration::from_mins(given));
        }
    }

    #[test]
    fn a_token_is_read_as_it_was_revealed_and_no_other_text_is_one() {
        let token = Token::new([7; 32]);
        let text = token.reveal();
        assert_eq!(Token::parse(&format!(" {text}\n")), Ok(token));
        let short = BASE64_URL_SAFE_NO_PAD.encode([7; 31]);
        let long = BASE64_URL_SAFE_NO_PAD.encode([7; 33]);
        for wrong in ["", &text[1..], &short, &long, &text.replace('B', "+")] {
            assert_eq!(Token::parse(wrong), Err(TokenError), "{wrong}");
        }
    }

    #[test]
    fn a_token_that_gets_into_a_log_is_not_in_it() {
        let token = Token::new([7; 32]);
        assert_eq!(format!("{token:?}"), "Token(…)");
    }

    const EXPIRES: &str = "2026-01-01T01:00:00Z";

    fn record(before: Option<&TokenRecord>) -> TokenRecord {
        let (cluster, token) = ("east".parse().unwrap(), Token::new([7; 32]));
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        TokenRecord::new(&cluster, &token, now, LONGEST_TTL, before)
    }

    #[test]
    fn an_entry_has_the_words_the_server_reads() {
        assert_eq!(
            serde_json::to_value(record(None)).unwrap(),
            json!({
                "cluster": "east",
                "sha256": "S7Bvjk46dxXSAdVz0KpCN2LlXavWGiwCJ4+lbMbSlOA",
                "expires": EXPIRES,
                "epoch": 0,
            })
        );
    }

    #[test]
    fn a_new_token_keeps_the_clusters_uid_and_epoch_and_forgets_who_used_the_old_one() {
        let used = json!({
            "cluster": "east", "sha256": "x", "expires": EXPIRES, "epoch": 3, "clusterUid": "u-1",
            "usedBy": {"keySha256": "k", "at": EXPIRES},
        });
        let used = serde_json::from_value(used).unwrap();
        let after = record(Some(&used));
        assert_eq!(
            (after.epoch, after.cluster_uid.as_deref()),
            (3, Some("u-1"))
        );
        assert!(!serde_json::to_string(&after).unwrap().contains("usedBy"));
    }

    #[test]
    fn a_revocation_raises_the_epoch_takes_the_token_and_keeps_whose_the_name_is() {
        let used = json!({
            "cluster": "east", "sha256": "x", "expires": EXPIRES, "epoch": 3, "clusterUid": "u-1",
            "usedBy": {"keySha256": "k", "at": EXPIRES},
        });
        let used: TokenRecord = serde_json::from_value(used).unwrap();
        let now = "2026-01-01T00:10:00.7Z".parse().unwrap();
        let revoked = used.revoked(now).unwrap();
        assert_eq!(
            serde_json::to_value(&revoked).unwrap(),
            json!({"cluster": "east", "sha256": "", "expires": "2026-01-01T00:10:01Z", "epoch": 4, "clusterUid": "u-1"})
        );
        assert_eq!(revoked.revoked(now), None, "once is enough");
        // Registered again, it can be revoked again.
        let again = record(Some(&revoked));
        assert_eq!(
            (again.epoch, again.cluster_uid.as_deref()),
            (4, Some("u-1"))
        );
        assert_eq!(again.revoked(now).map(|record| record.epoch), Some(5));
    }
}
