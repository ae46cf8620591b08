//! Choices out of a list of bytes: what shrinks the bytes shrinks the scene.

use proptest::{collection::vec, prelude::*};

/// Chooses by the next byte; when there is none left, always the first.
#[derive(Clone, Debug)]
pub struct Choose {
    bytes: std::vec::IntoIter<u8>,
}

impl Choose {
    /// Chooses by these bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes: bytes.into_iter(),
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u8) -> u8 {
        self.bytes.next().unwrap_or(0) % end.max(1)
    }

    /// Whether something happens that does once in `n` times; never when no byte is left.
    pub fn once_in(&mut self, n: u8) -> bool {
        self.below(n) == n - 1
    }

    /// One of several.
    pub fn one<T: Clone>(&mut self, of: &[T]) -> T {
        let last = u8::try_from(of.len()).unwrap_or(u8::MAX);
        of[usize::from(self.below(last))].clone()
    }

    /// At least one of what `make` makes, mostly one.
    pub fn some<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let mut all = vec![make(self)];
        while all.len() < 3 && self.once_in(3) {
            all.push(make(self));
        }
        all
    }
}

/// Bytes enough for a scene.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 40..400)
}
