//! What a conversation's log holds.
//!
//! A content is encoded once, by its sender; it is hashed, stored and delivered as those bytes. So nothing
//! here depends on two encoders agreeing. Frames carry contents as raw bytes; whoever needs to look decodes.

mod error;
mod group;
mod history_policy;
mod message;
mod role;
mod user_list;

use bytes::Bytes;
use prost::Message as _;

pub use error::ContentError;
pub use group::{AddMembers, CreateGroup, Leave, RemoveMembers, SetRole, SetTitle, TransferOwnership};
pub use history_policy::HistoryPolicy;
pub use message::{Edit, Message, React, Redact, Redacted};
pub use role::Role;
pub use user_list::{UserList, UserListInvalid};

use crate::limits;
use crate::payload::decode_wire;
use crate::wire;
use crate::wire::content::Kind;

/// One thing that happened in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Somebody wrote.
    Message(Message),
    /// Somebody changed what they wrote.
    Edit(Edit),
    /// A message was taken back, or out.
    Redact(Redact),
    /// Somebody reacted to a message.
    React(React),
    /// The group was made.
    CreateGroup(CreateGroup),
    /// The group has another title.
    SetTitle(SetTitle),
    /// Users were let in.
    AddMembers(AddMembers),
    /// Users were put out.
    RemoveMembers(RemoveMembers),
    /// The sender left.
    Leave(Leave),
    /// A member has another role.
    SetRole(SetRole),
    /// The group has another owner.
    TransferOwnership(TransferOwnership),
    /// A body that is gone. Decoded from a client like the rest; a server refuses it (`content_invalid`).
    Redacted(Redacted),
}

impl Content {
    /// Decodes and checks a content. Bodies are slices of `bytes`, not copies.
    ///
    /// # Errors
    /// When it is too long, does not decode, or a field is out of its limits.
    pub fn decode(bytes: &Bytes) -> Result<Self, ContentError> {
        if bytes.len() > limits::CONTENT_BYTES_MAX {
            return Err(ContentError::TooLong { bytes: bytes.len() });
        }
        let wire: wire::Content = decode_wire(bytes.clone())?;
        Ok(match wire.kind.ok_or(ContentError::UnknownKind)? {
            Kind::Message(part) => Self::Message(Message::from_wire(part)?),
            Kind::Edit(part) => Self::Edit(Edit::from_wire(part)?),
            Kind::Redact(part) => Self::Redact(Redact::from_wire(part)?),
            Kind::React(part) => Self::React(React::from_wire(part)?),
            Kind::CreateGroup(part) => Self::CreateGroup(CreateGroup::from_wire(part)?),
            Kind::SetTitle(part) => Self::SetTitle(SetTitle::from_wire(part)?),
            Kind::AddMembers(part) => Self::AddMembers(AddMembers::from_wire(part)?),
            Kind::RemoveMembers(part) => Self::RemoveMembers(RemoveMembers::from_wire(part)?),
            Kind::Leave(wire::Leave {}) => Self::Leave(Leave),
            Kind::SetRole(part) => Self::SetRole(SetRole::from_wire(part)?),
            Kind::TransferOwnership(part) => Self::TransferOwnership(TransferOwnership::from_wire(part)?),
            Kind::Redacted(part) => Self::Redacted(Redacted::from_wire(part)?),
        })
    }

    /// Encodes a content. A body over [`limits::BODY_BYTES_MAX`] is encoded all the same, and refused by
    /// whoever decodes it: see [`Content::check`].
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let kind = match self {
            Self::Message(part) => Kind::Message(part.to_wire()),
            Self::Edit(part) => Kind::Edit(part.to_wire()),
            Self::Redact(part) => Kind::Redact(part.to_wire()),
            Self::React(part) => Kind::React(part.to_wire()),
            Self::CreateGroup(part) => Kind::CreateGroup(part.to_wire()),
            Self::SetTitle(part) => Kind::SetTitle(part.to_wire()),
            Self::AddMembers(part) => Kind::AddMembers(part.to_wire()),
            Self::RemoveMembers(part) => Kind::RemoveMembers(part.to_wire()),
            Self::Leave(Leave) => Kind::Leave(wire::Leave {}),
            Self::SetRole(part) => Kind::SetRole(part.to_wire()),
            Self::TransferOwnership(part) => Kind::TransferOwnership(part.to_wire()),
            Self::Redacted(part) => Kind::Redacted(part.to_wire()),
        };
        wire::Content { kind: Some(kind) }.encode_to_vec().into()
    }

    /// Checks what the types leave open (the length of a body, an empty list of users), so that a client can
    /// tell before it sends.
    ///
    /// # Errors
    /// What a server would refuse it with.
    pub fn check(&self) -> Result<(), ContentError> {
        Self::decode(&self.encode()).map(drop)
    }

    /// Whether it is a message: what people read, and all that raises the ordinal.
    #[must_use]
    pub const fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }
}
