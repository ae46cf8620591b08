//! A running digest of a set of objects.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::key::ObjectKey;

/// Sum of the SHA-256 of each object, lane by lane modulo 2^64: objects are added and taken away in any order.
///
/// It finds drift between two honest sides. It is no seal: who can choose objects can make two sets agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Digest([u64; 4]);

/// Bytes that are no digest.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 32 bytes, this one {length}")]
pub struct DigestError {
    length: usize,
}

impl Digest {
    /// Of one object.
    pub fn of(key: &ObjectKey, bytes: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in key.parts() {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(bytes);
        Self::from_hash(hash.finalize().into())
    }

    fn from_hash(hash: [u8; 32]) -> Self {
        let mut lanes = [0; 4];
        for (lane, bytes) in lanes.iter_mut().zip(hash.as_chunks::<8>().0) {
            *lane = u64::from_le_bytes(*bytes);
        }
        Self(lanes)
    }

    pub fn add(&mut self, other: Self) {
        for (lane, other) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(other);
        }
    }

    pub fn remove(&mut self, other: Self) {
        for (lane, other) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_sub(other);
        }
    }

    pub fn to_bytes(self) -> Vec<u8> {
        self.0.iter().flat_map(|lane| lane.to_le_bytes()).collect()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DigestError> {
        let hash = bytes.try_into().map_err(|_| DigestError {
            length: bytes.len(),
        })?;
        Ok(Self::from_hash(hash))
    }
}

/// Hexadecimal, as a person copies it.
impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes()
            .iter()
            .try_for_each(|byte| write!(out, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, bytes: &str) -> Digest {
        Digest::of(
            &ObjectKey::new("v1", "Pod", "shop", name).unwrap(),
            bytes.as_bytes(),
        )
    }

    #[test]
    fn the_order_of_objects_does_not_matter() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.add(of("a", "1"));
        one.add(of("b", "2"));
        other.add(of("b", "2"));
        other.add(of("a", "1"));
        assert_eq!(one, other);
        one.remove(of("a", "1"));
        assert_eq!(one, of("b", "2"));
    }

    #[test]
    fn a_value_moved_to_another_key_changes_the_digest() {
        let (mut one, mut other) = (of("a", "1"), of("a", "2"));
        one.add(of("b", "2"));
        other.add(of("b", "1"));
        assert_ne!(one, other);
    }

    #[test]
    fn bytes_come_back_and_other_lengths_are_refused() {
        let digest = of("a", "1");
        assert_eq!(Digest::from_bytes(&digest.to_bytes()), Ok(digest));
        assert!(Digest::from_bytes(&[0; 31]).is_err());
        assert_eq!(digest.to_string().len(), 64);
    }
}
