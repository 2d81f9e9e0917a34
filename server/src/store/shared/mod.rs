//! One store that several servers of a simulation share, and what may go wrong between each and it. Its rows are in
//! memory, and then all time is tokio's; or on a FoundationDB cluster, and then time is real.
//!
//! | file | what |
//! |---|---|
//! | `trouble` | what goes wrong, and the dice that decide when |
//! | `handle` | one server's way to the store: closures run again, answers lost, time passing |
//! | `snapshot` | reading through it |
//! | `way` | where the rows are |
//!
//! It behaves as a store behind a network does (see the contract): closures run more than once, an answer may be
//! lost after the commit, what a server that died had handed in may still take effect. All of it follows from the
//! seeds of the handles. In memory one writer runs the closures of all servers one after another.

mod handle;
mod snapshot;
mod trouble;
mod way;

use std::sync::Arc;

pub(super) use self::snapshot::SharedSnapshot;
use self::way::Way;
pub use self::{
    handle::SharedHandle,
    trouble::{StoreTrouble, StoreTroubleCounts},
};
#[cfg(feature = "foundationdb")]
use super::foundationdb::FdbStore;
use super::{
    error::StoreError,
    memory::MemoryDisk,
    options::{FoundationDbOptions, StoreOptions},
};

/// A store that several servers of one simulation share. Clones are the same store.
#[derive(Debug, Clone)]
pub struct SharedStore {
    way: Arc<Way>,
}

impl SharedStore {
    /// Opens it on a simulated disk, which no other store may use. To be called in a tokio runtime.
    #[must_use]
    pub fn open(disk: &MemoryDisk, options: StoreOptions) -> Self {
        Self { way: Arc::new(Way::memory(disk, options)) }
    }

    /// Opens it on a cluster. Time must be real then: tokio's must not be paused.
    ///
    /// # Errors
    /// As [`Store::open_foundationdb`](super::Store::open_foundationdb).
    #[cfg(feature = "foundationdb")]
    pub async fn open_foundationdb(
        place: &FoundationDbOptions,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        let store = FdbStore::open(place, options).await?;
        Ok(Self { way: Arc::new(Way::foundationdb(store)) })
    }

    /// Says that the program was built without FoundationDB.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "foundationdb"))]
    #[expect(clippy::unused_async, reason = "with the feature it waits for the cluster")]
    pub async fn open_foundationdb(
        _place: &FoundationDbOptions,
        _options: StoreOptions,
    ) -> Result<Self, StoreError> {
        Err(StoreError::NoFoundationDb)
    }

    /// A way to the store for one start of one server. What goes wrong on it follows from the seed.
    #[must_use]
    pub fn handle(&self, seed: u64) -> SharedHandle {
        SharedHandle::new(self.way.another(), seed)
    }

    /// The store's machine crashes and is back at once. What was not synced is lost; those whose closures were
    /// under way do not learn whether they took effect, and run them again. A cluster does not crash; that is only
    /// said to those who have closures under way.
    pub fn crash(&self) {
        self.way.crash();
    }
}
