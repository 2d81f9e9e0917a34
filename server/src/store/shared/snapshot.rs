//! Reading a state of the shared store, as one server does.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tokio::time::Instant;

use super::handle::SharedHandle;
use crate::store::{
    error::StoreError, limits::SNAPSHOT_TIME_MAX, memory::Rows, range::KeyRange, serial::Base,
};

#[derive(Debug)]
pub(in crate::store) struct SharedSnapshot {
    handle: SharedHandle,
    taken: OnceLock<Taken>,
}

/// The state, and when it was taken.
#[derive(Debug)]
struct Taken {
    rows: Option<Arc<Rows>>,
    at: Instant,
}

impl SharedSnapshot {
    /// `at_once`: the state is taken now, and else at the first read. The contract allows both.
    pub(super) fn new(handle: SharedHandle, at_once: bool) -> Self {
        let snapshot = Self { handle, taken: OnceLock::new() };
        if at_once {
            snapshot.take();
        }
        snapshot
    }

    pub(in crate::store) async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.rows().await?.get_checked(key)
    }

    pub(in crate::store) async fn range(
        &self,
        range: KeyRange,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        self.rows().await?.range_checked(range, limit, reverse)
    }

    fn take(&self) -> &Taken {
        self.taken.get_or_init(|| Taken { rows: self.handle.newest(), at: Instant::now() })
    }

    async fn rows(&self) -> Result<&Rows, StoreError> {
        self.handle.arrive().await?;
        let taken = self.take();
        if taken.at.elapsed() > SNAPSHOT_TIME_MAX {
            return Err(StoreError::SnapshotTooOld);
        }
        taken.rows.as_deref().ok_or(StoreError::Closed)
    }
}
