//! `Watch` names the conversations on screen.

use super::prelude::*;
use crate::error_code::ErrorCode;
use crate::id::ConversationId;
use crate::limits;

/// The conversations on screen; replaces the former set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    /// At most [`limits::WATCHED_CONVERSATIONS_MAX`]: see [`Watch::check`].
    pub conversation_ids: Vec<ConversationId>,
}

impl Watch {
    /// Checks the number of conversations.
    ///
    /// # Errors
    /// [`ErrorCode::TooManyWatched`] when there are too many.
    pub fn check(&self) -> Result<(), ErrorCode> {
        let watched = self.conversation_ids.len();
        if watched > limits::WATCHED_CONVERSATIONS_MAX { Err(ErrorCode::TooManyWatched) } else { Ok(()) }
    }
}

impl Payload for Watch {
    type Wire = wire::Watch;

    fn to_wire(&self) -> wire::Watch {
        wire::Watch {
            conversation_ids: self.conversation_ids.iter().map(|id| bytes(id.as_bytes())).collect(),
        }
    }

    fn from_wire(wire: wire::Watch) -> Result<Self, PayloadError> {
        let ids = wire.conversation_ids.iter().map(|id| conversation_id("conversation_ids", id));
        Ok(Self { conversation_ids: ids.collect::<Result<_, _>>()? })
    }
}
