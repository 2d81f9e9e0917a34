//! `SendOpen` opens a send lane for one conversation. `Send` is one entry to append. `Accepted` says that the
//! entry is durable, `Refused` that it was not appended.

use std::time::Duration;

use super::prelude::*;
use crate::error_code::ErrorCode;
use crate::id::{ClientSeq, ConversationId, ConversationKind, Seq, TimestampMs, UserId};
use crate::text::Explanation;

/// Opens a send lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOpen {
    /// Where the lane's sends go.
    pub conversation_id: ConversationId,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
}

/// One entry to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Send {
    /// The device's number for it.
    pub client_seq: ClientSeq,
    /// An encoded [`Content`](crate::Content).
    pub content: Bytes,
}

/// The entry is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The device's number for it.
    pub client_seq: ClientSeq,
    /// Its place in the log.
    pub seq: Seq,
    /// Its time.
    pub at: TimestampMs,
}

/// The entry was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The device's number for it.
    pub client_seq: ClientSeq,
    /// Why.
    pub code: ErrorCode,
    /// For developers.
    pub message: Explanation,
    /// How long to wait, where waiting helps. Whole milliseconds.
    pub retry_after: Option<Duration>,
    /// With `client_seq_ahead`: the number that the server expects.
    pub expected_client_seq: Option<ClientSeq>,
}

impl SendOpen {
    /// Whether the id is that of the two users; of a group, whether no peer is named. If not, the lane is
    /// refused with `direct_id_mismatch`.
    #[must_use]
    pub fn names_its_peer(&self, user: &UserId) -> bool {
        match (self.conversation_id.kind(), &self.peer) {
            (ConversationKind::Direct, Some(peer)) => {
                ConversationId::direct(user, peer) == self.conversation_id
            }
            (ConversationKind::Direct, None) => false,
            (ConversationKind::Group, peer) => peer.is_none(),
        }
    }
}

impl Payload for SendOpen {
    type Wire = wire::SendOpen;

    fn to_wire(&self) -> wire::SendOpen {
        wire::SendOpen {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            peer: optional_text(self.peer.as_ref()),
        }
    }

    fn from_wire(wire: wire::SendOpen) -> Result<Self, PayloadError> {
        Ok(Self {
            conversation_id: conversation_id("conversation_id", &wire.conversation_id)?,
            peer: optional_user_id("peer", &wire.peer)?,
        })
    }
}

impl Payload for Send {
    type Wire = wire::Send;

    fn to_wire(&self) -> wire::Send {
        wire::Send { client_seq: self.client_seq.get(), content: self.content.clone() }
    }

    fn from_wire(wire: wire::Send) -> Result<Self, PayloadError> {
        Ok(Self { client_seq: client_seq("client_seq", wire.client_seq)?, content: wire.content })
    }
}

impl Payload for Accepted {
    type Wire = wire::Accepted;

    fn to_wire(&self) -> wire::Accepted {
        wire::Accepted { client_seq: self.client_seq.get(), seq: self.seq.get(), at_ms: self.at.get() }
    }

    fn from_wire(wire: wire::Accepted) -> Result<Self, PayloadError> {
        Ok(Self {
            client_seq: client_seq("client_seq", wire.client_seq)?,
            seq: seq("seq", wire.seq)?,
            at: TimestampMs::new(wire.at_ms),
        })
    }
}

impl Payload for Refused {
    type Wire = wire::Refused;

    fn to_wire(&self) -> wire::Refused {
        wire::Refused {
            client_seq: self.client_seq.get(),
            code: self.code.code(),
            message: self.message.to_string(),
            retry_after_ms: optional_millis(self.retry_after),
            expected_client_seq: self.expected_client_seq.map_or(0, ClientSeq::get),
        }
    }

    fn from_wire(wire: wire::Refused) -> Result<Self, PayloadError> {
        Ok(Self {
            client_seq: client_seq("client_seq", wire.client_seq)?,
            code: ErrorCode::from(wire.code),
            message: text("message", &wire.message, Explanation::parse)?,
            retry_after: optional_duration(wire.retry_after_ms),
            expected_client_seq: (wire.expected_client_seq != 0)
                .then(|| ClientSeq::new(wire.expected_client_seq)),
        })
    }
}
