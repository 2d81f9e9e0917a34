//! What people write: messages, edits, redactions, reactions, and what is left of a redacted body.
//!
//! A body is any bytes; this crate never looks into it. All that refers to an entry does so by its seq.

use bytes::Bytes;

use super::error::ContentError;
use crate::id::Seq;
use crate::limits;
use crate::payload::{seq, text};
use crate::text::{ContentType, Reaction};
use crate::wire;

/// A message: what is counted as unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the body is.
    pub content_type: ContentType,
    /// At most [`limits::BODY_BYTES_MAX`].
    pub body: Bytes,
    /// The entry it answers.
    pub reply_to: Option<Seq>,
}

/// Another body for a message of one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The message (never an earlier edit of it).
    pub target_seq: Seq,
    /// What the new body is.
    pub content_type: ContentType,
    /// At most [`limits::BODY_BYTES_MAX`].
    pub body: Bytes,
}

/// Takes the body of a message, and those of all its edits, out of the log for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redact {
    /// The message.
    pub target_seq: Seq,
}

/// A reaction to a message, or the end of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct React {
    /// The message.
    pub target_seq: Seq,
    /// The reaction.
    pub reaction: Reaction,
    /// Whether it is taken back.
    pub removed: bool,
}

/// What is left of a message or edit whose body was redacted. Made by the server only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The entry that redacted it.
    pub by_seq: Seq,
}

fn body(body: Bytes) -> Result<Bytes, ContentError> {
    if body.len() > limits::BODY_BYTES_MAX {
        return Err(ContentError::BodyTooLarge { bytes: body.len() });
    }
    Ok(body)
}

impl Message {
    pub(super) fn to_wire(&self) -> wire::Message {
        wire::Message {
            content_type: self.content_type.to_string(),
            body: self.body.clone(),
            reply_to_seq: self.reply_to.map_or(0, Seq::get),
        }
    }

    pub(super) fn from_wire(wire: wire::Message) -> Result<Self, ContentError> {
        Ok(Self {
            content_type: text("content_type", &wire.content_type, ContentType::parse)?,
            body: body(wire.body)?,
            reply_to: (wire.reply_to_seq != 0).then(|| Seq::new(wire.reply_to_seq)),
        })
    }
}

impl Edit {
    pub(super) fn to_wire(&self) -> wire::Edit {
        wire::Edit {
            target_seq: self.target_seq.get(),
            content_type: self.content_type.to_string(),
            body: self.body.clone(),
        }
    }

    pub(super) fn from_wire(wire: wire::Edit) -> Result<Self, ContentError> {
        Ok(Self {
            target_seq: seq("target_seq", wire.target_seq)?,
            content_type: text("content_type", &wire.content_type, ContentType::parse)?,
            body: body(wire.body)?,
        })
    }
}

impl Redact {
    pub(super) fn to_wire(self) -> wire::Redact {
        wire::Redact { target_seq: self.target_seq.get() }
    }

    pub(super) fn from_wire(wire: wire::Redact) -> Result<Self, ContentError> {
        Ok(Self { target_seq: seq("target_seq", wire.target_seq)? })
    }
}

impl React {
    pub(super) fn to_wire(&self) -> wire::React {
        wire::React {
            target_seq: self.target_seq.get(),
            reaction: self.reaction.to_string(),
            removed: self.removed,
        }
    }

    pub(super) fn from_wire(wire: wire::React) -> Result<Self, ContentError> {
        Ok(Self {
            target_seq: seq("target_seq", wire.target_seq)?,
            reaction: text("reaction", &wire.reaction, Reaction::parse)?,
            removed: wire.removed,
        })
    }
}

impl Redacted {
    pub(super) fn to_wire(self) -> wire::Redacted {
        wire::Redacted { by_seq: self.by_seq.get() }
    }

    pub(super) fn from_wire(wire: wire::Redacted) -> Result<Self, ContentError> {
        Ok(Self { by_seq: seq("by_seq", wire.by_seq)? })
    }
}
