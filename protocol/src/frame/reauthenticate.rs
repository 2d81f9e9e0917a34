//! `Reauthenticate` brings a fresh token for the same user; `Reauthenticated` says that the new token is in
//! force.

use super::prelude::*;
use crate::id::TimestampMs;
use crate::text::Token;

/// A fresh token for the same user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reauthenticate {
    /// The token.
    pub token: Token,
}

/// The new token is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reauthenticated {
    /// When it expires.
    pub expires_at: TimestampMs,
}

impl Payload for Reauthenticate {
    type Wire = wire::Reauthenticate;

    fn to_wire(&self) -> wire::Reauthenticate {
        wire::Reauthenticate { token: self.token.as_str().to_owned() }
    }

    fn from_wire(wire: wire::Reauthenticate) -> Result<Self, PayloadError> {
        Ok(Self { token: Token::new(wire.token) })
    }
}

impl Payload for Reauthenticated {
    type Wire = wire::Reauthenticated;

    fn to_wire(&self) -> wire::Reauthenticated {
        wire::Reauthenticated { expires_at_ms: self.expires_at.get() }
    }

    fn from_wire(wire: wire::Reauthenticated) -> Result<Self, PayloadError> {
        Ok(Self { expires_at: TimestampMs::new(wire.expires_at_ms) })
    }
}
