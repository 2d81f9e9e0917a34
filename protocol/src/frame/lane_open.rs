//! `LaneOpen` opens a log lane: where it starts and how the conversation stands.

use super::marks::{UserMarks, marks_from_wire};
use super::prelude::*;
use super::subject::{kind_from_wire, kind_to_wire, peer_and_title};
use crate::content::Role;
use crate::id::{ClientSeq, ConversationId, ConversationKind, Ordinal, Seq, UserId};
use crate::text::Title;

/// Opens a log lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneOpen {
    /// Whose log it is.
    pub conversation_id: ConversationId,
    /// The other user of a direct conversation.
    pub peer: Option<UserId>,
    /// The title of a group.
    pub title: Title,
    /// This user's role; none when no longer a member.
    pub role: Option<Role>,
    /// The first seq that this lane will account for.
    pub next_seq: Seq,
    /// Where the log ends.
    pub head_seq: Seq,
    /// How many messages it holds.
    pub head_ordinal: Ordinal,
    /// This user's read mark.
    pub read_seq: Seq,
    /// How many messages lie up to the read mark.
    pub read_ordinal: Ordinal,
    /// The number that the server expects of this device.
    pub next_client_seq: ClientSeq,
    /// The marks of the others, in groups up to `fan_out_members_max`.
    pub marks: Vec<UserMarks>,
}

impl LaneOpen {
    /// Which kind of conversation it is.
    #[must_use]
    pub const fn kind(&self) -> ConversationKind {
        self.conversation_id.kind()
    }
}

impl Payload for LaneOpen {
    type Wire = wire::LaneOpen;

    fn to_wire(&self) -> wire::LaneOpen {
        wire::LaneOpen {
            conversation_id: bytes(self.conversation_id.as_bytes()),
            kind: kind_to_wire(self.kind()),
            peer: optional_text(self.peer.as_ref()),
            title: self.title.to_string(),
            role: Role::option_to_wire(self.role),
            next_seq: self.next_seq.get(),
            head_seq: self.head_seq.get(),
            head_ordinal: self.head_ordinal.get(),
            read_seq: self.read_seq.get(),
            read_ordinal: self.read_ordinal.get(),
            next_client_seq: self.next_client_seq.get(),
            marks: self.marks.iter().map(UserMarks::to_wire).collect(),
        }
    }

    fn from_wire(wire: wire::LaneOpen) -> Result<Self, PayloadError> {
        let conversation_id = conversation_id("conversation_id", &wire.conversation_id)?;
        kind_from_wire(wire.kind, conversation_id)?;
        let (peer, title) = peer_and_title(conversation_id.kind(), &wire.peer, &wire.title)?;
        Ok(Self {
            conversation_id,
            peer,
            title,
            role: Role::option_from_wire("role", wire.role)?,
            next_seq: seq("next_seq", wire.next_seq)?,
            head_seq: Seq::new(wire.head_seq),
            head_ordinal: Ordinal::new(wire.head_ordinal),
            read_seq: Seq::new(wire.read_seq),
            read_ordinal: Ordinal::new(wire.read_ordinal),
            next_client_seq: client_seq("next_client_seq", wire.next_client_seq)?,
            marks: marks_from_wire(&wire.marks)?,
        })
    }
}
