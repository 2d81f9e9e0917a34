//! One durable state of the tree, and reading from it.
//!
//! A view is made only by the writer thread, after a sync, and so never shows half a batch or one that a power
//! cut could take back.

use bytes::Bytes;
use fjall::Readable;

use crate::store::{
    error::StoreError,
    limits::{KEY_BYTES_MAX, RANGE_ROWS_MAX},
    range::KeyRange,
};

/// A snapshot of the tree together with the handle that reads need.
pub(crate) struct View {
    snapshot: fjall::Snapshot,
    rows: fjall::Keyspace,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View").field("seqno", &self.snapshot.seqno()).finish()
    }
}

/// The rows of a range as the tree hands them out. The values are copied: a slice of the tree's would keep the
/// whole block that it was read from in memory.
type Row = Result<(Bytes, Bytes), StoreError>;

impl View {
    pub(super) fn new(db: &fjall::Database, rows: &fjall::Keyspace) -> Self {
        Self { snapshot: db.snapshot(), rows: rows.clone() }
    }

    pub(crate) fn get_checked(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        self.get(key)
    }

    pub(crate) fn range_checked(
        &self,
        range: KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        check_limit(limit)?;
        let range = range.checked()?;
        if reverse {
            self.rows_back(&range).take(limit).collect()
        } else {
            self.rows(&range).take(limit).collect()
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.snapshot.get(&self.rows, key).map_err(StoreError::read)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// The rows of a checked range, first to last.
    pub(super) fn rows(&self, range: &KeyRange) -> impl Iterator<Item = Row> + use<> {
        self.iterate(range).into_iter().flatten().map(row)
    }

    /// The rows of a checked range, last to first.
    pub(super) fn rows_back(&self, range: &KeyRange) -> impl Iterator<Item = Row> + use<> {
        self.iterate(range).into_iter().flat_map(fjall::Iter::rev).map(row)
    }

    /// Every row of callers.
    pub(super) fn everything(&self) -> impl Iterator<Item = Row> + use<> {
        self.rows(&KeyRange::all())
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.rows.path()
    }

    fn iterate(&self, range: &KeyRange) -> Option<fjall::Iter> {
        // The tree panics on a range that ends before it starts.
        (!range.is_empty()).then(|| self.snapshot.range(&self.rows, range.start()..range.end()))
    }
}

fn row(guard: fjall::Guard) -> Row {
    let (key, value) = guard.into_inner().map_err(StoreError::read)?;
    Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
}

pub(super) fn check_key(key: &[u8]) -> Result<(), StoreError> {
    match key.first() {
        Some(first) if *first != 0xFF && key.len() <= KEY_BYTES_MAX => Ok(()),
        _ => Err(StoreError::KeyInvalid { bytes: key.len() }),
    }
}

pub(super) fn check_limit(limit: usize) -> Result<(), StoreError> {
    if limit > RANGE_ROWS_MAX { Err(StoreError::RangeTooLong { rows: limit }) } else { Ok(()) }
}
