//! A state of the rows. A copy costs nothing, and shares what did not change.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;
use rpds::RedBlackTreeMapSync;

use crate::store::{
    error::StoreError,
    range::KeyRange,
    serial::{Base, Overlay, Row, Workspace},
    transaction::Transaction,
};

#[derive(Debug, Clone, Default)]
pub(crate) struct Rows(RedBlackTreeMapSync<Bytes, Bytes>);

impl Rows {
    pub(super) fn apply(&mut self, written: Overlay) {
        for (key, value) in written.into_rows() {
            match value {
                // Copied, so that a row never pins a caller's larger buffer.
                Some(value) => self.0.insert_mut(key, Bytes::copy_from_slice(&value)),
                None => drop(self.0.remove_mut(&key)),
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.size()
    }

    fn iterate(&self, range: &KeyRange) -> impl DoubleEndedIterator<Item = (&Bytes, &Bytes)> {
        // The map panics on a range that ends before it starts.
        let bounds = if range.is_empty() { (&[][..], &[][..]) } else { (range.start(), range.end()) };
        self.0.range::<[u8], _>((Bound::Included(bounds.0), Bound::Excluded(bounds.1)))
    }
}

impl Base for Rows {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.get(key).cloned())
    }

    fn rows(&self, range: &KeyRange) -> impl Iterator<Item = Row> {
        self.iterate(range).map(row)
    }

    fn rows_back(&self, range: &KeyRange) -> impl Iterator<Item = Row> {
        self.iterate(range).rev().map(row)
    }

    fn transaction(workspace: Arc<Workspace<Self>>) -> Transaction {
        Transaction::memory(workspace)
    }
}

fn row((key, value): (&Bytes, &Bytes)) -> Row {
    Ok((key.clone(), value.clone()))
}
