//! One durable state of the tree, and reading from it.
//!
//! A view is made only by the writer thread, after a sync, and so never shows half a batch or one that a power
//! cut could take back.

use std::sync::Arc;

use bytes::Bytes;
use fjall::Readable;

use crate::store::{
    error::StoreError,
    range::KeyRange,
    serial::{Base, Row, Workspace},
    transaction::Transaction,
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

impl View {
    pub(super) fn new(db: &fjall::Database, rows: &fjall::Keyspace) -> Self {
        Self { snapshot: db.snapshot(), rows: rows.clone() }
    }

    /// Every row of callers.
    pub(super) fn everything(&self) -> impl Iterator<Item = Row> + use<> {
        self.iterate(&KeyRange::all()).into_iter().flatten().map(row)
    }

    pub(super) fn path(&self) -> &std::path::Path {
        self.rows.path()
    }

    fn iterate(&self, range: &KeyRange) -> Option<fjall::Iter> {
        // The tree panics on a range that ends before it starts.
        (!range.is_empty()).then(|| self.snapshot.range(&self.rows, range.start()..range.end()))
    }
}

impl Base for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.snapshot.get(&self.rows, key).map_err(StoreError::read)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn rows(&self, range: &KeyRange) -> impl Iterator<Item = Row> {
        self.iterate(range).into_iter().flatten().map(row)
    }

    fn rows_back(&self, range: &KeyRange) -> impl Iterator<Item = Row> {
        self.iterate(range).into_iter().flat_map(fjall::Iter::rev).map(row)
    }

    fn transaction(workspace: Arc<Workspace<Self>>) -> Transaction {
        Transaction::embedded(workspace)
    }
}

/// A row as the tree hands it out. The values are copied: a slice of the tree's would keep the whole block that
/// it was read from in memory.
fn row(guard: fjall::Guard) -> Row {
    let (key, value) = guard.into_inner().map_err(StoreError::read)?;
    Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
}
