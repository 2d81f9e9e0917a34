//! `Ping` asks whether the path is alive; `Pong` answers it with the same nonce.

use super::prelude::*;

/// Is the path alive?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Comes back in the answer.
    pub nonce: u64,
}

/// Answers [`Ping`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong {
    /// That of the question.
    pub nonce: u64,
}

impl Payload for Ping {
    type Wire = wire::Ping;

    fn to_wire(&self) -> wire::Ping {
        wire::Ping { nonce: self.nonce }
    }

    fn from_wire(wire: wire::Ping) -> Result<Self, PayloadError> {
        Ok(Self { nonce: wire.nonce })
    }
}

impl Payload for Pong {
    type Wire = wire::Pong;

    fn to_wire(&self) -> wire::Pong {
        wire::Pong { nonce: self.nonce }
    }

    fn from_wire(wire: wire::Pong) -> Result<Self, PayloadError> {
        Ok(Self { nonce: wire.nonce })
    }
}
