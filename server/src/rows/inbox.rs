//! One conversation in a user's inbox: how far it reaches. Both figures only grow, so byte-max is right.

use bytes::Bytes;
use fulmar_protocol::{Seq, TimestampMs};

use super::value::RowError;

/// An inbox row. Once `large`, always large: the flag is the first byte, and byte-max keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InboxRow {
    /// The group outgrew the fan-out limit: `seq` no longer follows the head, read the head instead.
    pub(crate) large: bool,
    pub(crate) seq: Seq,
    pub(crate) at: TimestampMs,
}

impl InboxRow {
    pub(crate) fn encode(self) -> Bytes {
        let mut bytes = Vec::with_capacity(17);
        bytes.push(u8::from(self.large));
        bytes.extend_from_slice(&self.seq.get().to_be_bytes());
        bytes.extend_from_slice(&self.at.get().to_be_bytes());
        Bytes::from(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let malformed = || RowError::malformed("inbox");
        let (large, rest) = bytes.split_first().ok_or_else(malformed)?;
        let (seq, at) = rest.split_at_checked(8).ok_or_else(malformed)?;
        let number = |bytes: &[u8]| -> Result<u64, RowError> {
            Ok(u64::from_be_bytes(bytes.try_into().map_err(|_| malformed())?))
        };
        Ok(Self { large: *large == 1, seq: Seq::new(number(seq)?), at: TimestampMs::new(number(at)?) })
    }
}
