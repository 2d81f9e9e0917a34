//! SHA-256 as the protocol uses it: over a domain and fields, each with its length before it.
//!
//! The length prefix (u16, big-endian) makes sure that two different lists of fields are never hashed alike,
//! the domain that no hash stands for two things.

use sha2::{Digest, Sha256};

pub(crate) struct Hash(Sha256);

impl Hash {
    pub(crate) fn new(domain: &str) -> Self {
        Self(Sha256::new()).field(domain.as_bytes())
    }

    /// Adds a field. What is hashed is at most 128 bytes long (user ids); longer ones never come here.
    pub(crate) fn field(mut self, field: &[u8]) -> Self {
        let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(field);
        self
    }

    /// Adds bytes of a fixed length, without a prefix.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(bytes);
        self
    }

    pub(crate) fn first<const N: usize>(self) -> [u8; N] {
        first_of(&self.0.finalize().into())
    }
}

/// The first bytes of SHA-256 over `bytes` alone.
pub(crate) fn plain<const N: usize>(bytes: &[u8]) -> [u8; N] {
    first_of(&Sha256::digest(bytes).into())
}

fn first_of<const N: usize>(digest: &[u8; 32]) -> [u8; N] {
    const { assert!(N <= 32) };
    let mut first = [0; N];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    first
}
