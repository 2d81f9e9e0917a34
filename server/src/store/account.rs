//! What a running closure has used up of its limits: the same on every back end.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    error::StoreError,
    limits::{KEY_BYTES_MAX, RANGE_ROWS_MAX, TRANSACTION_BYTES_MAX, VALUE_BYTES_MAX},
    tally::TransactionTally,
};

#[derive(Debug)]
pub(super) struct Account {
    /// Bytes that count towards the transaction's limit.
    bytes: usize,
    /// The first limit that was exceeded, or the first read that failed inside a write.
    error: Option<StoreError>,
    deadline: Instant,
    /// An earlier run of the closure may have committed.
    maybe_committed: bool,
    /// What the closure did.
    pub(super) tally: TransactionTally,
}

impl Account {
    pub(super) fn new(time_max: Duration, maybe_committed: bool) -> Self {
        Self {
            bytes: 0,
            error: None,
            deadline: Instant::now() + time_max,
            maybe_committed,
            tally: TransactionTally::default(),
        }
    }

    pub(super) fn maybe_committed(&self) -> bool {
        self.maybe_committed
    }

    /// Whether the transaction may go on.
    pub(super) fn usable(&self) -> Result<(), StoreError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        if Instant::now() > self.deadline { Err(StoreError::TransactionTooSlow) } else { Ok(()) }
    }

    /// Fails the transaction; the first error stands.
    pub(super) fn fail(&mut self, error: StoreError) {
        self.error.get_or_insert(error);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    /// A read took so long, which is not the closure's fault.
    #[cfg(feature = "foundationdb")]
    pub(super) fn waited(&mut self, time: Duration) {
        self.deadline += time;
    }

    pub(super) fn count(&mut self, bytes: usize) -> Result<(), StoreError> {
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > TRANSACTION_BYTES_MAX { Err(StoreError::TransactionTooLarge) } else { Ok(()) }
    }

    /// Counts a row that is to be written.
    pub(super) fn count_row(&mut self, key: &[u8], value: &Bytes) -> Result<(), StoreError> {
        check_key(key)?;
        if value.len() > VALUE_BYTES_MAX {
            return Err(StoreError::ValueTooLong { bytes: value.len() });
        }
        self.count(key.len().saturating_add(value.len()))
    }

    /// What may still be written.
    pub(super) fn room(&self) -> usize {
        TRANSACTION_BYTES_MAX.saturating_sub(self.bytes)
    }
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
