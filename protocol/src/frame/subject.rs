//! What frames say about a conversation beside its id: its kind, and the peer or the title.
//!
//! The kind is in the id too; the frame repeats it for readers that do not look into ids, and the two must
//! agree.

use super::prelude::*;
use crate::id::{ConversationId, ConversationKind, UserId};
use crate::text::Title;

pub(super) fn kind_to_wire(kind: ConversationKind) -> i32 {
    match kind {
        ConversationKind::Direct => wire::ConversationKind::Direct.into(),
        ConversationKind::Group => wire::ConversationKind::Group.into(),
    }
}

/// The kind alone, where the frame has no id.
pub(super) fn any_kind_from_wire(value: i32) -> Result<ConversationKind, PayloadError> {
    match wire::ConversationKind::try_from(value) {
        Ok(wire::ConversationKind::Direct) => Ok(ConversationKind::Direct),
        Ok(wire::ConversationKind::Group) => Ok(ConversationKind::Group),
        Ok(wire::ConversationKind::Unspecified) => Err(fault("kind", FieldFault::Missing)),
        Err(_) => Err(fault("kind", FieldFault::UnknownValue { value })),
    }
}

/// Checks that the kind is that of the id.
pub(super) fn kind_from_wire(value: i32, id: ConversationId) -> Result<(), PayloadError> {
    if any_kind_from_wire(value)? == id.kind() {
        Ok(())
    } else {
        Err(fault("kind", FieldFault::Contradiction("is not the kind of the conversation's id")))
    }
}

/// A direct conversation has a peer and no title, a group no peer and perhaps a title.
pub(super) fn peer_and_title(
    kind: ConversationKind,
    peer: &str,
    title: &str,
) -> Result<(Option<UserId>, Title), PayloadError> {
    let peer = optional_user_id("peer", peer)?;
    let title = text("title", title, Title::parse)?;
    match kind {
        ConversationKind::Direct if peer.is_none() => Err(fault("peer", FieldFault::Missing)),
        ConversationKind::Direct if !title.is_empty() => {
            Err(fault("title", FieldFault::Contradiction("a direct conversation has no title")))
        }
        ConversationKind::Group if peer.is_some() => {
            Err(fault("peer", FieldFault::Contradiction("a group has no peer")))
        }
        _ => Ok((peer, title)),
    }
}
