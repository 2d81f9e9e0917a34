//! Reading rows, whether inside a transaction or from the newest durable snapshot.
//!
//! Domain code that only reads is written once against `Read`; it cannot tell the two apart and must not
//! need to.

use bytes::Bytes;

use crate::store::{KeyRange, Snapshot, StoreError, Transaction};

/// The reading half of a transaction or a snapshot.
pub(crate) trait Read: Sync {
    fn get(&self, key: &[u8]) -> impl Future<Output = Result<Option<Bytes>, StoreError>> + Send;

    /// The first `limit` rows of the range, in order.
    fn range(
        &self,
        range: &KeyRange,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Bytes, Bytes)>, StoreError>> + Send;

    /// The last `limit` rows of the range, from its end.
    fn range_backward(
        &self,
        range: &KeyRange,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Bytes, Bytes)>, StoreError>> + Send;
}

impl Read for Transaction {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Self::get(self, key).await
    }

    async fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Self::range(self, range.clone(), limit, false).await
    }

    async fn range_backward(
        &self,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Self::range(self, range.clone(), limit, true).await
    }
}

impl Read for Snapshot {
    async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Self::get(self, key).await
    }

    async fn range(&self, range: &KeyRange, limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Self::range(self, range.clone(), limit, false).await
    }

    async fn range_backward(
        &self,
        range: &KeyRange,
        limit: usize,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        Self::range(self, range.clone(), limit, true).await
    }
}
