//! The state that a batch is built on.

use std::{fmt::Debug, sync::Arc};

use bytes::Bytes;

use crate::store::{
    account::{check_key, check_limit},
    error::StoreError,
    range::KeyRange,
    transaction::Transaction,
};

use super::Workspace;

/// A row, or why it could not be read.
pub(crate) type Row = Result<(Bytes, Bytes), StoreError>;

/// A fixed state of a back end's rows. Keys and ranges were checked.
pub(crate) trait Base: Debug + Send + Sync + Sized + 'static {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// The rows of a range, first to last.
    fn rows(&self, range: &KeyRange) -> impl Iterator<Item = Row>;

    /// The rows of a range, last to first.
    fn rows_back(&self, range: &KeyRange) -> impl Iterator<Item = Row>;

    /// A transaction of this back end.
    fn transaction(workspace: Arc<Workspace<Self>>) -> Transaction;

    fn get_checked(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        check_key(key)?;
        self.get(key)
    }

    fn range_checked(
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
}
