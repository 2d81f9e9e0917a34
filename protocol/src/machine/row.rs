//! Reading and writing the compact form in which a state lies in a store.
//!
//! Numbers are protobuf varints, which hold every `u64`. A row that does not decode is a damaged store, never
//! a peer's fault; it is an error all the same, not a panic.

use bytes::{Buf, BufMut};
use prost::encoding::{decode_varint, encode_varint};

/// A stored row does not decode: the store is damaged, or was written by a later version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored {what} does not decode: {reason}")]
pub struct RowInvalid {
    what: &'static str,
    reason: &'static str,
}

/// Reads the fields of a row one after another.
pub(super) struct RowReader<'row> {
    what: &'static str,
    rest: &'row [u8],
}

impl<'row> RowReader<'row> {
    pub(super) const fn new(what: &'static str, row: &'row [u8]) -> Self {
        Self { what, rest: row }
    }

    pub(super) const fn invalid(&self, reason: &'static str) -> RowInvalid {
        RowInvalid { what: self.what, reason }
    }

    pub(super) fn number(&mut self) -> Result<u64, RowInvalid> {
        decode_varint(&mut self.rest).map_err(|_| self.invalid("a number is cut or too long"))
    }

    pub(super) fn octets<const N: usize>(&mut self) -> Result<[u8; N], RowInvalid> {
        let mut octets = [0; N];
        self.rest.try_copy_to_slice(&mut octets).map_err(|_| self.invalid("bytes are missing"))?;
        Ok(octets)
    }

    pub(super) const fn end(self) -> Result<(), RowInvalid> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.invalid("bytes follow its end")) }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }
}

pub(super) fn put_number(number: u64, row: &mut impl BufMut) {
    encode_varint(number, row);
}
