//! `InboxRequest` asks for the user's conversations. `InboxItem` is one of them; `InboxEnd` ends a page.

use super::history::page_limit;
use super::prelude::*;
use super::subject::{kind_from_wire, kind_to_wire, peer_and_title};
use crate::content::Role;
use crate::error_code::ErrorCode;
use crate::id::{ConversationId, ConversationKind, Ordinal, Seq, TimestampMs, UserId};
use crate::limits;
use crate::text::Title;

/// Asks for a page of the user's conversations, in the order of their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxRequest {
    /// The page starts after this one; none: with the first.
    pub after_conversation_id: Option<ConversationId>,
    /// How many: see [`InboxRequest::check`].
    pub limit: u32,
}

/// One conversation of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxItem {
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
    /// The title of a group.
    pub title: Title,
    /// Where the log ends.
    pub head_seq: Seq,
    /// How many messages it holds.
    pub head_ordinal: Ordinal,
    /// This user's read mark.
    pub read_seq: Seq,
    /// How many messages lie up to the read mark.
    pub read_ordinal: Ordinal,
    /// The time of the last entry.
    pub last_at: TimestampMs,
    /// This user's role; none when no longer a member.
    pub role: Option<Role>,
    /// How far this device has the log.
    pub cursor_seq: Seq,
}

/// Ends a page of conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboxEnd {
    /// What the next page starts after; none: that was all.
    pub next_conversation_id: Option<ConversationId>,
}

impl InboxRequest {
    /// Checks the limit.
    ///
    /// # Errors
    /// [`ErrorCode::RangeInvalid`] when it is 0 or above [`limits::INBOX_ITEMS_MAX`].
    pub fn check(&self) -> Result<(), ErrorCode> {
        page_limit(self.limit, limits::INBOX_ITEMS_MAX)
    }
}

impl InboxItem {
    /// Which kind of conversation it is.
    #[must_use]
    pub const fn kind(&self) -> ConversationKind {
        self.conversation_id.kind()
    }
}

impl Payload for InboxRequest {
    type Wire = wire::InboxRequest;

    fn to_wire(&self) -> wire::InboxRequest {
        wire::InboxRequest {
            after_conversation_id: optional_bytes(self.after_conversation_id),
            limit: self.limit,
        }
    }

    fn from_wire(wire: wire::InboxRequest) -> Result<Self, PayloadError> {
        let after = optional_conversation_id("after_conversation_id", &wire.after_conversation_id)?;
        Ok(Self { after_conversation_id: after, limit: wire.limit })
    }
}

impl Payload for InboxItem {
    type Wire = wire::InboxItem;

    fn to_wire(&self) -> wire::InboxItem {
        wire::InboxItem {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            kind: kind_to_wire(self.kind()),
            peer: optional_text(self.peer.as_ref()),
            title: self.title.to_string(),
            head_seq: self.head_seq.get(),
            head_ordinal: self.head_ordinal.get(),
            read_seq: self.read_seq.get(),
            read_ordinal: self.read_ordinal.get(),
            last_at_ms: self.last_at.get(),
            role: Role::option_to_wire(self.role),
            cursor_seq: self.cursor_seq.get(),
        }
    }

    fn from_wire(wire: wire::InboxItem) -> Result<Self, PayloadError> {
        let conversation_id = conversation_id("conversation_id", &wire.conversation_id)?;
        kind_from_wire(wire.kind, conversation_id)?;
        let (peer, title) = peer_and_title(conversation_id.kind(), &wire.peer, &wire.title)?;
        Ok(Self {
            conversation_id,
            peer,
            title,
            head_seq: Seq::new(wire.head_seq),
            head_ordinal: Ordinal::new(wire.head_ordinal),
            read_seq: Seq::new(wire.read_seq),
            read_ordinal: Ordinal::new(wire.read_ordinal),
            last_at: TimestampMs::new(wire.last_at_ms),
            role: Role::option_from_wire("role", wire.role)?,
            cursor_seq: Seq::new(wire.cursor_seq),
        })
    }
}

impl Payload for InboxEnd {
    type Wire = wire::InboxEnd;

    fn to_wire(&self) -> wire::InboxEnd {
        wire::InboxEnd { next_conversation_id: optional_bytes(self.next_conversation_id) }
    }

    fn from_wire(wire: wire::InboxEnd) -> Result<Self, PayloadError> {
        let next = optional_conversation_id("next_conversation_id", &wire.next_conversation_id)?;
        Ok(Self { next_conversation_id: next })
    }
}
