//! `TypingUpdate`: the user types, or stopped. `Typing`: another user does.

use std::time::Duration;

use crate::id::{ConversationId, Generation, UserId};
use crate::payload::{Payload, PayloadError, bytes, conversation_id, millis_u32, user_id};
use crate::wire;

/// The user types, or stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypingUpdate {
    /// Where.
    pub conversation_id: ConversationId,
    /// Of two updates for one conversation in a session the higher one is right.
    pub generation: Generation,
    /// Whether the user types.
    pub typing: bool,
}

/// Another user types, or stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typing {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user: UserId,
    /// Of two about one user and conversation in a session the higher one is right.
    pub generation: Generation,
    /// Whether they type.
    pub typing: bool,
    /// For how long this holds. Whole milliseconds.
    pub ttl: Duration,
}

impl Payload for TypingUpdate {
    type Wire = wire::TypingUpdate;

    fn to_wire(&self) -> wire::TypingUpdate {
        wire::TypingUpdate {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            generation: self.generation.get(),
            typing: self.typing,
        }
    }

    fn from_wire(wire: wire::TypingUpdate) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("conversation_id", &wire.conversation_id)?,
            generation: Generation::new(wire.generation),
            typing: wire.typing,
        })
    }
}

impl Payload for Typing {
    type Wire = wire::Typing;

    fn to_wire(&self) -> wire::Typing {
        wire::Typing {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            user: self.user.to_string(),
            generation: self.generation.get(),
            typing: self.typing,
            ttl_ms: millis_u32(self.ttl),
        }
    }

    fn from_wire(wire: wire::Typing) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("conversation_id", &wire.conversation_id)?,
            user: user_id("user", &wire.user)?,
            generation: Generation::new(wire.generation),
            typing: wire.typing,
            ttl: Duration::from_millis(u64::from(wire.ttl_ms)),
        })
    }
}
