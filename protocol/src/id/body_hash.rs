//! The hash by which a server knows a repeated send.

use crate::hash::plain;
use crate::id::octets::octets;

octets! {
    /// The first 8 bytes of SHA-256 over an encoded `Content`, as it was sent.
    BodyHash, 8
}

impl BodyHash {
    /// The hash of an encoded content.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self(plain(content))
    }
}
