//! The one-time token.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

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
