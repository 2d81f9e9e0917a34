//! `Entry` is one entry of the log. `OwnEntry` is one that the receiving device sent itself: the same without
//! what that device knows.
//!
//! An entry is encoded once, when it is appended; the store keeps the frame's bytes and every lane sends
//! them.

use bytes::BytesMut;

use super::decoder::whole_frame;
use super::prelude::*;
use super::{FrameError, FrameType, put};
use crate::id::{ClientSeq, DeviceTag, Ordinal, Seq, TimestampMs, UserId};

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place.
    pub seq: Seq,
    /// How many messages the log holds up to here.
    pub ordinal: Ordinal,
    /// When the server appended it.
    pub at: TimestampMs,
    /// Whose it is.
    pub sender: UserId,
    /// Which of the sender's devices sent it.
    pub device_tag: DeviceTag,
    /// That device's number for it.
    pub client_seq: ClientSeq,
    /// An encoded [`Content`](crate::Content).
    pub content: Bytes,
}

/// One entry of the log that the receiving device sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnEntry {
    /// Its place.
    pub seq: Seq,
    /// How many messages the log holds up to here.
    pub ordinal: Ordinal,
    /// When the server appended it.
    pub at: TimestampMs,
    /// The device's number for it.
    pub client_seq: ClientSeq,
}

/// Encodes an entry as the complete frame that lanes send and the store keeps.
#[must_use]
pub fn encode_entry(entry: &Entry) -> Bytes {
    let mut frame = BytesMut::new();
    put(FrameType::Entry, entry, &mut frame);
    frame.freeze()
}

/// Decodes a frame that [`encode_entry`] made. The content is a slice of `frame`, not a copy.
///
/// # Errors
/// When it is not exactly one well-formed `Entry` frame.
pub fn decode_entry_frame(frame: &Bytes) -> Result<Entry, FrameError> {
    let (frame_type, payload) = whole_frame(frame)?;
    if frame_type != FrameType::Entry {
        return Err(FrameError::Unexpected { frame: frame_type });
    }
    Entry::decode(payload).map_err(|cause| FrameError::Malformed { frame: frame_type, cause })
}

impl Entry {
    /// What the device that sent it is told instead.
    #[must_use]
    pub const fn as_own(&self) -> OwnEntry {
        OwnEntry { seq: self.seq, ordinal: self.ordinal, at: self.at, client_seq: self.client_seq }
    }
}

impl Payload for Entry {
    type Wire = wire::Entry;

    fn to_wire(&self) -> wire::Entry {
        wire::Entry {
            seq: self.seq.get(),
            ordinal: self.ordinal.get(),
            at_ms: self.at.get(),
            sender: self.sender.to_string(),
            device_tag: bytes(self.device_tag.as_bytes()),
            client_seq: self.client_seq.get(),
            content: self.content.clone(),
        }
    }

    fn from_wire(wire: wire::Entry) -> Result<Self, PayloadError> {
        Ok(Self {
            seq: seq("seq", wire.seq)?,
            ordinal: Ordinal::new(wire.ordinal),
            at: TimestampMs::new(wire.at_ms),
            sender: user_id("sender", &wire.sender)?,
            device_tag: DeviceTag::new(octets("device_tag", &wire.device_tag)?),
            client_seq: client_seq("client_seq", wire.client_seq)?,
            content: wire.content,
        })
    }
}

impl Payload for OwnEntry {
    type Wire = wire::OwnEntry;

    fn to_wire(&self) -> wire::OwnEntry {
        wire::OwnEntry {
            seq: self.seq.get(),
            ordinal: self.ordinal.get(),
            at_ms: self.at.get(),
            client_seq: self.client_seq.get(),
        }
    }

    fn from_wire(wire: wire::OwnEntry) -> Result<Self, PayloadError> {
        Ok(Self {
            seq: seq("seq", wire.seq)?,
            ordinal: Ordinal::new(wire.ordinal),
            at: TimestampMs::new(wire.at_ms),
            client_seq: client_seq("client_seq", wire.client_seq)?,
        })
    }
}
