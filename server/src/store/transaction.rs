//! What a closure and a reader hold: [`Transaction`] and [`Snapshot`].
//!
//! The methods are asynchronous because other back ends read over a network. Those of the embedded back end
//! are ready at the first poll; a read that misses its cache blocks the thread for one read of the disk.

use bytes::Bytes;

use super::{embedded, error::StoreError, range::KeyRange};

/// What a closure reads from and writes to. See the module's contract.
#[derive(Debug)]
pub struct Transaction {
    pub(super) embedded: embedded::Workspace,
}

impl Transaction {
    /// The value of a key, this transaction's own writes included.
    ///
    /// # Errors
    /// When the key is not a possible one, the transaction has already exceeded a limit, or reading failed.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.embedded.get(key)
    }

    /// At most `limit` rows of a range in the order of keys, or from its end backwards, this transaction's own
    /// writes included.
    ///
    /// # Errors
    /// As for [`Transaction::get`]; also when `limit` is more than [`super::RANGE_ROWS_MAX`].
    pub async fn range(
        &self,
        range: impl Into<KeyRange>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.embedded.range(range.into(), limit, reverse)
    }

    /// Writes a row.
    pub fn set(&self, key: &[u8], value: impl Into<Bytes>) {
        self.embedded.set(key, value.into());
    }

    /// Removes a row, if it is there.
    pub fn clear(&self, key: &[u8]) {
        self.embedded.clear(key);
    }

    /// Removes every row of a range.
    pub fn clear_range(&self, range: impl Into<KeyRange>) {
        self.embedded.clear_range(range.into());
    }

    /// Sets a row to the greater of its value and this one, or to this one where there is none.
    pub fn byte_max(&self, key: &[u8], value: impl Into<Bytes>) {
        self.embedded.byte_max(key, value.into());
    }

    /// Whether an earlier attempt of this closure may have committed. Sticky: once true it stays true.
    pub fn maybe_committed(&self) -> bool {
        // The embedded back end runs a closure once at most.
        false
    }
}

/// A fixed, durable state of the store. Keeps old rows from being reclaimed while it lives: drop it soon.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) view: Option<std::sync::Arc<embedded::View>>,
}

impl Snapshot {
    /// The value of a key.
    ///
    /// # Errors
    /// When the key is not a possible one, the store is closed, or reading failed.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.view.as_ref().ok_or(StoreError::Closed)?.get_checked(key)
    }

    /// At most `limit` rows of a range in the order of keys, or from its end backwards.
    ///
    /// # Errors
    /// As for [`Snapshot::get`]; also when `limit` is more than [`super::RANGE_ROWS_MAX`].
    pub async fn range(
        &self,
        range: impl Into<KeyRange>,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.view.as_ref().ok_or(StoreError::Closed)?.range_checked(range.into(), limit, reverse)
    }
}
