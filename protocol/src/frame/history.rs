//! `HistoryRequest` asks for a page of the log, which comes as `Entry` and `Hole` frames; `HistoryEnd` ends
//! it.

use super::prelude::*;
use crate::error_code::ErrorCode;
use crate::id::{ConversationId, Seq};
use crate::limits;

/// Which way a page goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From older to newer.
    #[default]
    Forward,
    /// From newer to older.
    Backward,
}

/// Asks for a page of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRequest {
    /// Whose log.
    pub conversation_id: ConversationId,
    /// The first entry wanted. Backward, [`Seq::ZERO`] stands for the head.
    pub from_seq: Seq,
    /// Which way.
    pub direction: Direction,
    /// How many entries: see [`HistoryRequest::check`].
    pub limit: u32,
}

/// Ends a page of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryEnd {
    /// Where the next page starts; none when there is nothing more that way.
    pub next_seq: Option<Seq>,
    /// Where the log ends.
    pub head_seq: Seq,
}

impl HistoryRequest {
    /// Checks the limit.
    ///
    /// # Errors
    /// [`ErrorCode::RangeInvalid`] when it is 0 or above [`limits::HISTORY_ENTRIES_MAX`].
    pub fn check(&self) -> Result<(), ErrorCode> {
        page_limit(self.limit, limits::HISTORY_ENTRIES_MAX)
    }
}

/// Checks how many items a page may have.
pub(super) fn page_limit(limit: u32, limit_max: usize) -> Result<(), ErrorCode> {
    match usize::try_from(limit) {
        Ok(limit) if (1..=limit_max).contains(&limit) => Ok(()),
        _ => Err(ErrorCode::RangeInvalid),
    }
}

impl Direction {
    fn to_wire(self) -> i32 {
        match self {
            Self::Forward => wire::Direction::Forward.into(),
            Self::Backward => wire::Direction::Backward.into(),
        }
    }

    fn from_wire(value: i32) -> Result<Self, PayloadError> {
        match wire::Direction::try_from(value) {
            Ok(wire::Direction::Forward) => Ok(Self::Forward),
            Ok(wire::Direction::Backward) => Ok(Self::Backward),
            Err(_) => Err(fault("direction", FieldFault::UnknownValue { value })),
        }
    }
}

impl Payload for HistoryRequest {
    type Wire = wire::HistoryRequest;

    fn to_wire(&self) -> wire::HistoryRequest {
        wire::HistoryRequest {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            from_seq: self.from_seq.get(),
            direction: self.direction.to_wire(),
            limit: self.limit,
        }
    }

    fn from_wire(wire: wire::HistoryRequest) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("conversation_id", &wire.conversation_id)?,
            from_seq: Seq::new(wire.from_seq),
            direction: Direction::from_wire(wire.direction)?,
            limit: wire.limit,
        })
    }
}

impl Payload for HistoryEnd {
    type Wire = wire::HistoryEnd;

    fn to_wire(&self) -> wire::HistoryEnd {
        wire::HistoryEnd { next_seq: self.next_seq.map_or(0, Seq::get), head_seq: self.head_seq.get() }
    }

    fn from_wire(wire: wire::HistoryEnd) -> Result<Self, PayloadError> {
        Ok(Self {
            next_seq: (wire.next_seq != 0).then(|| Seq::new(wire.next_seq)),
            head_seq: Seq::new(wire.head_seq),
        })
    }
}
