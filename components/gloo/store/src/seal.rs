//! Entries of Redis, sealed: whoever can write there can neither read, change nor move one.

use std::{io, path::PathBuf};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Why there is no seal.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("cannot read the store key {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the store key {path} has {length} bytes; 32 are needed")]
    Length { path: PathBuf, length: usize },
    #[error("an entry cannot be sealed")]
    Seal,
}

/// Seals and opens. What an entry is about (`place`) is bound to it.
#[derive(Debug)]
pub struct Seal(LessSafeKey);

impl Seal {
    pub fn read(path: &std::path::Path) -> Result<Self, SealError> {
        let path = path.to_owned();
        let bytes = std::fs::read(&path).map_err(|source| SealError::Read {
            path: path.clone(),
            source,
        })?;
        let length = bytes.len();
        Self::new(&bytes).ok_or(SealError::Length { path, length })
    }

    /// `None`: not 32 bytes.
    pub fn new(key: &[u8]) -> Option<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key).ok()?;
        Some(Self(LessSafeKey::new(key)))
    }

    /// `nonce` is random; it is kept in front.
    pub fn close(
        &self,
        place: &str,
        mut text: Vec<u8>,
        nonce: [u8; NONCE_LEN],
    ) -> Result<Vec<u8>, SealError> {
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(place),
            &mut text,
        );
        sealed.map_err(|_| SealError::Seal)?;
        let mut entry = nonce.to_vec();
        entry.append(&mut text);
        Ok(entry)
    }

    /// `None`: nobody with our key made this for `place`.
    pub fn open(&self, place: &str, entry: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = entry.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(place), &mut text);
        opened.ok().map(|text| text.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_opens_in_its_place_only_and_unchanged_only() {
        let seal = Seal::new(&[7; 32]).unwrap();
        let entry = seal
            .close("west", b"text".to_vec(), [1; NONCE_LEN])
            .unwrap();
        assert_eq!(seal.open("west", &entry).unwrap(), b"text");
        assert_eq!(seal.open("east", &entry), None);
        for at in 0..entry.len() {
            let mut forged = entry.clone();
            forged[at] ^= 1;
            assert_eq!(seal.open("west", &forged), None);
            assert_eq!(seal.open("west", &entry[..at]), None);
        }
        assert!(Seal::new(&[7; 31]).is_none());
    }
}
