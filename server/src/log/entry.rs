//! An entry as the log holds it: the frame's bytes, and the few fields that deciding who gets which form
//! needs.

use bytes::Bytes;
use fulmar_protocol::{
    ClientSeq, DeviceTag, Entry, Ordinal, Seq, TimestampMs, UserId, decode_entry_frame, encode_entry,
};
use tokio::time::Instant;

use super::LogError;
use crate::rows::RowError;

/// One entry, encoded once; every lane that carries it shares `frame`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredEntry {
    pub(crate) seq: Seq,
    pub(crate) ordinal: Ordinal,
    pub(crate) at: TimestampMs,
    pub(crate) sender: UserId,
    pub(crate) device_tag: DeviceTag,
    pub(crate) client_seq: ClientSeq,
    /// The encoded `Content`: a slice of `frame`.
    pub(crate) content: Bytes,
    /// The whole frame, header included: the value of the entry's row.
    pub(crate) frame: Bytes,
    /// When this process made it durable; none for one read from the store.
    pub(crate) accepted: Option<Instant>,
}

impl StoredEntry {
    pub(crate) fn encode(entry: Entry) -> Self {
        let frame = encode_entry(&entry);
        Self::with_frame(entry, frame)
    }

    pub(crate) fn decode(frame: &Bytes) -> Result<Self, LogError> {
        let entry = decode_entry_frame(frame).map_err(|_| RowError::malformed("entry"))?;
        Ok(Self::with_frame(entry, frame.clone()))
    }

    fn with_frame(entry: Entry, frame: Bytes) -> Self {
        Self {
            seq: entry.seq,
            ordinal: entry.ordinal,
            at: entry.at,
            sender: entry.sender,
            device_tag: entry.device_tag,
            client_seq: entry.client_seq,
            content: entry.content,
            frame,
            accepted: None,
        }
    }

    /// The same entry with another content: what a redaction leaves.
    pub(crate) fn with_content(&self, content: Bytes) -> Self {
        Self::encode(Entry {
            seq: self.seq,
            ordinal: self.ordinal,
            at: self.at,
            sender: self.sender.clone(),
            device_tag: self.device_tag,
            client_seq: self.client_seq,
            content,
        })
    }
}
