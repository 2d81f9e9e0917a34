//! `Problem` is a refusal that does not end the connection.

use std::time::Duration;

use super::prelude::*;
use crate::error_code::ErrorCode;
use crate::id::{BatchNumber, ConversationId};
use crate::text::Explanation;

/// Something that the client asked for was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Why.
    pub code: ErrorCode,
    /// For developers.
    pub message: Explanation,
    /// The conversation, where it concerns one.
    pub conversation_id: Option<ConversationId>,
    /// The batch, where it answers a `Confirm`.
    pub batch: Option<BatchNumber>,
    /// How long to wait, where waiting helps. Whole milliseconds.
    pub retry_after: Option<Duration>,
}

impl Payload for Problem {
    type Wire = wire::Problem;

    fn to_wire(&self) -> wire::Problem {
        wire::Problem {
            code: self.code.code(),
            message: self.message.to_string(),
            conversation_id: optional_bytes(self.conversation_id),
            batch: self.batch.map_or(0, BatchNumber::get),
            retry_after_ms: optional_millis(self.retry_after),
        }
    }

    fn from_wire(wire: wire::Problem) -> Result<Self, PayloadError> {
        Ok(Self {
            code: ErrorCode::from(wire.code),
            message: text("message", &wire.message, Explanation::parse)?,
            conversation_id: optional_conversation_id("conversation_id", &wire.conversation_id)?,
            batch: (wire.batch != 0).then(|| BatchNumber::new(wire.batch)),
            retry_after: optional_duration(wire.retry_after_ms),
        })
    }
}
