//! [`Store`]: the handle on whichever back end.
//!
//! Dispatch and nothing else. A back end has its own store, transaction and snapshot; here and in `transaction`
//! are the only places that name them all.

use std::path::Path;

use futures_util::future::BoxFuture;

use super::{
    counts::{CompactProgress, StoreCounts},
    embedded::{self, EmbeddedStore},
    error::{Health, RunError, StoreError},
    options::StoreOptions,
    transaction::{Snapshot, Transaction},
};
#[cfg(feature = "simulation")]
use super::{
    memory::{MemoryDisk, MemoryStore},
    shared::SharedHandle,
};

/// An open store. Cheap to clone; the folder is given up when the last clone (and the last
/// [`Snapshot`]) is dropped or [`Store::close`] is called.
#[derive(Debug, Clone)]
pub struct Store {
    back_end: BackEnd,
}

#[derive(Debug, Clone)]
enum BackEnd {
    Embedded(EmbeddedStore),
    #[cfg(feature = "simulation")]
    Memory(MemoryStore),
    #[cfg(feature = "simulation")]
    Shared(SharedHandle),
}

impl Store {
    /// Opens the store in a folder, which is made if it is not there. Blocks while the journals are read and the
    /// last of them is written anew.
    ///
    /// # Errors
    /// When the folder is in use, cannot be read or written, is of an unknown format, or is damaged.
    pub fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        Ok(Self { back_end: BackEnd::Embedded(EmbeddedStore::open(path.as_ref(), options)?) })
    }

    /// Opens the store on a disk that is simulated. A store that was open on it is cut off, as if its process had
    /// been killed. To be called in a tokio runtime; the store's one task ends with the last clone.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn memory(disk: &MemoryDisk, options: StoreOptions) -> Self {
        Self { back_end: BackEnd::Memory(MemoryStore::open(disk, options)) }
    }

    /// The store that several servers of a simulation share, as one of them has it.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn shared(handle: &SharedHandle) -> Self {
        Self { back_end: BackEnd::Shared(handle.clone()) }
    }

    /// Runs a closure as one transaction, and answers when what it wrote and read is durable. See the module's
    /// contract. Dropping the future is safe: the closure then runs or does not.
    ///
    /// # Errors
    /// [`RunError::Aborted`] with the closure's own error; [`RunError::Store`] when the store did not run or
    /// commit it.
    pub async fn run<T, E, F>(&self, closure: F) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &self.back_end {
            BackEnd::Embedded(store) => store.run(closure).await,
            #[cfg(feature = "simulation")]
            BackEnd::Memory(store) => store.run(closure).await,
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => store.run(closure).await,
        }
    }

    /// The newest synced state.
    pub fn snapshot(&self) -> Snapshot {
        match &self.back_end {
            BackEnd::Embedded(store) => Snapshot::embedded(store.status().base.load_full()),
            #[cfg(feature = "simulation")]
            BackEnd::Memory(store) => Snapshot::memory(store.status().base.load_full()),
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => Snapshot::shared(store.snapshot()),
        }
    }

    /// Whether the store accepts writes.
    pub fn health(&self) -> Health {
        let accepting = match &self.back_end {
            BackEnd::Embedded(store) => store.status().accepting(),
            #[cfg(feature = "simulation")]
            BackEnd::Memory(store) => store.status().accepting(),
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => store.accepting(),
        };
        match accepting {
            Ok(()) => Health::Good,
            Err(StoreError::Failed { reason }) => Health::Failed { reason },
            Err(StoreError::Unreachable { .. }) => Health::Unreachable,
            Err(_) => Health::Closed,
        }
    }

    /// Runs what was handed in before, syncs, and gives up the folder, for all clones. A [`Snapshot`] that
    /// still lives keeps the folder locked until it is dropped.
    pub async fn close(&self) {
        match &self.back_end {
            BackEnd::Embedded(store) => store.close().await,
            #[cfg(feature = "simulation")]
            BackEnd::Memory(store) => store.close().await,
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => store.close().await,
        }
    }

    /// Reads every row of the newest synced state. Each block that is read has its checksum verified, and the
    /// order of the keys is checked. Blocks for as long as that takes.
    ///
    /// # Errors
    /// When something cannot be read, or is damaged.
    pub fn check(&self) -> Result<StoreCounts, StoreError> {
        match &self.back_end {
            BackEnd::Embedded(store) => store.check(),
            #[cfg(feature = "simulation")]
            BackEnd::Memory(store) => store.check(),
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => store.check(),
        }
    }

    /// Copies the rows of a store that nobody has open into fresh files and deletes the old ones, so that what
    /// was overwritten or cleared is in no file any more. Needs as much free space as the rows take. Blocks; a
    /// crash or power cut at any moment leaves either the old files or the new ones in use.
    ///
    /// # Errors
    /// When the folder is in use, cannot be read or written, is of an unknown format, or is damaged. The store
    /// is as it was then.
    pub fn compact(
        path: impl AsRef<Path>,
        options: &StoreOptions,
        progress: impl FnMut(CompactProgress),
    ) -> Result<StoreCounts, StoreError> {
        embedded::compact(path.as_ref(), options, progress)
    }
}
