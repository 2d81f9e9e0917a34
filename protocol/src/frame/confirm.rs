//! `Confirm` carries cursors and read marks; `Confirmed` says that they are durable.
//!
//! One bad item must not cost the others, so items are taken as they are and judged one by one: a cursor by
//! [`CursorState::new`](crate::CursorState::new), the number of items by [`Confirm::check`].

use super::prelude::*;
use super::seq_range::SeqRange;
use crate::error_code::ErrorCode;
use crate::id::{BatchNumber, ConversationId, Seq};
use crate::limits;

/// Cursors and read marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirm {
    /// What the answer names.
    pub batch: BatchNumber,
    /// At most [`limits::CONFIRM_CONVERSATIONS_MAX`].
    pub cursors: Vec<CursorUpdate>,
    /// At most [`limits::CONFIRM_CONVERSATIONS_MAX`].
    pub reads: Vec<ReadMark>,
}

/// How far a device has a log: the whole state, which replaces the former one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorUpdate {
    /// The log.
    pub conversation_id: ConversationId,
    /// The device has every entry up to here, but for the ranges.
    pub seq: Seq,
    /// What is missing.
    pub skipped: Vec<SeqRange>,
}

/// How far the user has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadMark {
    /// The log.
    pub conversation_id: ConversationId,
    /// The last entry read.
    pub seq: Seq,
}

/// A [`Confirm`] is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// The batch.
    pub batch: BatchNumber,
}

impl Confirm {
    /// Checks the number of items.
    ///
    /// # Errors
    /// [`ErrorCode::TooManyInBatch`] when there are too many of either kind.
    pub fn check(&self) -> Result<(), ErrorCode> {
        let items = self.cursors.len().max(self.reads.len());
        if items > limits::CONFIRM_CONVERSATIONS_MAX { Err(ErrorCode::TooManyInBatch) } else { Ok(()) }
    }
}

impl CursorUpdate {
    fn to_wire(&self) -> wire::CursorUpdate {
        wire::CursorUpdate {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            seq: self.seq.get(),
            skipped: self.skipped.iter().copied().map(SeqRange::to_wire).collect(),
        }
    }

    fn from_wire(wire: &wire::CursorUpdate) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("cursors.conversation_id", &wire.conversation_id)?,
            seq: Seq::new(wire.seq),
            skipped: wire
                .skipped
                .iter()
                .map(|range| SeqRange::from_wire("cursors.skipped", range.first, range.last))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl ReadMark {
    fn to_wire(self) -> wire::ReadMark {
        wire::ReadMark { conversation_id: bytes(self.conversation_id.as_bytes()), seq: self.seq.get() }
    }

    fn from_wire(wire: &wire::ReadMark) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("reads.conversation_id", &wire.conversation_id)?,
            seq: seq("reads.seq", wire.seq)?,
        })
    }
}

impl Payload for Confirm {
    type Wire = wire::Confirm;

    fn to_wire(&self) -> wire::Confirm {
        wire::Confirm {
            batch: self.batch.get(),
            cursors: self.cursors.iter().map(CursorUpdate::to_wire).collect(),
            reads: self.reads.iter().copied().map(ReadMark::to_wire).collect(),
        }
    }

    fn from_wire(wire: wire::Confirm) -> Result<Self, PayloadError> {
        Ok(Self {
            batch: BatchNumber::new(nonzero("batch", wire.batch)?),
            cursors: wire.cursors.iter().map(CursorUpdate::from_wire).collect::<Result<_, _>>()?,
            reads: wire.reads.iter().map(ReadMark::from_wire).collect::<Result<_, _>>()?,
        })
    }
}

impl Payload for Confirmed {
    type Wire = wire::Confirmed;

    fn to_wire(&self) -> wire::Confirmed {
        wire::Confirmed { batch: self.batch.get() }
    }

    fn from_wire(wire: wire::Confirmed) -> Result<Self, PayloadError> {
        Ok(Self { batch: BatchNumber::new(nonzero("batch", wire.batch)?) })
    }
}
