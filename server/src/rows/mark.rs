//! Marks: how far a user has a conversation. Big-endian, so that byte-max is max.

use bytes::Bytes;
use fulmar_protocol::{Ordinal, Seq};

use super::value::RowError;

/// The value of a delivered mark.
pub(crate) fn encode_seq(seq: Seq) -> Bytes {
    Bytes::copy_from_slice(&seq.get().to_be_bytes())
}

/// The seq of a delivered mark.
pub(crate) fn decode_seq(bytes: &[u8]) -> Result<Seq, RowError> {
    let bytes: [u8; 8] = bytes.try_into().map_err(|_| RowError::malformed("mark"))?;
    Ok(Seq::new(u64::from_be_bytes(bytes)))
}

/// A read mark with the ordinal that belongs to it, so that unread is one subtraction. The ordinal is a
/// function of the seq, and so the larger value is the one with the larger seq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReadMarkRow {
    pub(crate) seq: Seq,
    pub(crate) ordinal: Ordinal,
}

impl ReadMarkRow {
    pub(crate) const NONE: Self = Self { seq: Seq::ZERO, ordinal: Ordinal::ZERO };

    pub(crate) fn encode(self) -> Bytes {
        let mut bytes = [0; 16];
        let (seq, ordinal) = bytes.split_at_mut(8);
        seq.copy_from_slice(&self.seq.get().to_be_bytes());
        ordinal.copy_from_slice(&self.ordinal.get().to_be_bytes());
        Bytes::copy_from_slice(&bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, RowError> {
        let bytes: [u8; 16] = bytes.try_into().map_err(|_| RowError::malformed("read mark"))?;
        let value = u128::from_be_bytes(bytes);
        let seq = u64::try_from(value >> 64).map_err(|_| RowError::malformed("read mark"))?;
        let ordinal =
            u64::try_from(value & u128::from(u64::MAX)).map_err(|_| RowError::malformed("read mark"))?;
        Ok(Self { seq: Seq::new(seq), ordinal: Ordinal::new(ordinal) })
    }
}
