//! `HedgedSend` and `HedgedEntry`: copies, in datagrams, of a `Send` and an `Entry` that have left on their
//! lanes. Of extension hedging.
//!
//! Unlike the other datagrams these may come out longer than a datagram may be: who sends one looks first.

use bytes::Bytes;

use crate::frame::Entry;
use crate::id::{ClientSeq, ConversationId, UserId};
use crate::payload::{
    Payload, PayloadError, bytes, client_seq, conversation_id, optional_text, optional_user_id,
};
use crate::wire;

/// A copy of a `Send`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HedgedSend {
    /// Where it goes.
    pub conversation_id: ConversationId,
    /// The other user of a direct conversation, as in `SendOpen`.
    pub peer: Option<UserId>,
    /// The device's number for it.
    pub client_seq: ClientSeq,
    /// An encoded [`Content`](crate::Content).
    pub content: Bytes,
    /// The lowest number of the conversation to which the client has no answer.
    pub first_unanswered: ClientSeq,
}

/// A copy of an `Entry`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HedgedEntry {
    /// Whose log it is of.
    pub conversation_id: ConversationId,
    /// The entry.
    pub entry: Entry,
}

impl Payload for HedgedSend {
    type Wire = wire::HedgedSend;

    fn to_wire(&self) -> wire::HedgedSend {
        wire::HedgedSend {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            peer: optional_text(self.peer.as_ref()),
            client_seq: self.client_seq.get(),
            content: self.content.clone(),
            first_unanswered: self.first_unanswered.get(),
        }
    }

    fn from_wire(wire: wire::HedgedSend) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("conversation_id", &wire.conversation_id)?,
            peer: optional_user_id("peer", &wire.peer)?,
            client_seq: client_seq("client_seq", wire.client_seq)?,
            content: wire.content,
            first_unanswered: client_seq("first_unanswered", wire.first_unanswered)?,
        })
    }
}

impl Payload for HedgedEntry {
    type Wire = wire::HedgedEntry;

    fn to_wire(&self) -> wire::HedgedEntry {
        wire::HedgedEntry {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            entry: Some(self.entry.to_wire()),
        }
    }

    fn from_wire(wire: wire::HedgedEntry) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("conversation_id", &wire.conversation_id)?,
            entry: Entry::from_wire(wire.entry.unwrap_or_default())?,
        })
    }
}
