//! [`Store`]: the handle on whichever back end.
//!
//! Dispatch and nothing else. A back end has its own store, transaction and snapshot; here and in `transaction`
//! are the only places that name them all.

use std::path::Path;

use futures_util::future::BoxFuture;

#[cfg(feature = "foundationdb")]
use super::foundationdb::FdbStore;
#[cfg(feature = "fault-injection")]
use super::tally::StoreTally;
use super::{
    counts::{CompactProgress, StoreCounts},
    embedded::{self, EmbeddedStore},
    error::{Health, RunError, StoreError},
    options::{FoundationDbOptions, StoreOptions},
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
    /// Where reads through snapshots are counted.
    #[cfg(feature = "fault-injection")]
    tally: Option<StoreTally>,
}

#[derive(Debug, Clone)]
enum BackEnd {
    Embedded(EmbeddedStore),
    #[cfg(feature = "foundationdb")]
    FoundationDb(FdbStore),
    #[cfg(feature = "simulation")]
    Memory(MemoryStore),
    #[cfg(feature = "simulation")]
    Shared(SharedHandle),
}

impl Store {
    #[cfg(feature = "fault-injection")]
    fn of<B, N: FnOnce(B) -> BackEnd>(
        options: &StoreOptions,
        back_end: N,
    ) -> impl FnOnce(B) -> Self + use<B, N> {
        let tally = options.tally.clone();
        move |store| Self { back_end: back_end(store), tally }
    }

    #[cfg(not(feature = "fault-injection"))]
    fn of<B, N: FnOnce(B) -> BackEnd>(
        _options: &StoreOptions,
        back_end: N,
    ) -> impl FnOnce(B) -> Self + use<B, N> {
        move |store| Self { back_end: back_end(store) }
    }

    /// Opens the store in a folder, which is made if it is not there. Blocks while the journals are read and the
    /// last of them is written anew.
    ///
    /// # Errors
    /// When the folder is in use, cannot be read or written, is of an unknown format, or is damaged.
    pub fn open(path: impl AsRef<Path>, options: StoreOptions) -> Result<Self, StoreError> {
        let store = Self::of(&options, BackEnd::Embedded);
        Ok(store(EmbeddedStore::open(path.as_ref(), options)?))
    }

    /// Opens the part of a FoundationDB cluster that is this deployment's. To be called in a tokio runtime, which
    /// then asks the cluster every few seconds whether it is there.
    ///
    /// # Errors
    /// When the cluster file is missing or wrong, the cluster does not answer, the keys under the prefix are not
    /// ours, or the program was built without FoundationDB.
    #[cfg(feature = "foundationdb")]
    pub async fn open_foundationdb(
        place: &FoundationDbOptions,
        options: StoreOptions,
    ) -> Result<Self, StoreError> {
        let store = Self::of(&options, BackEnd::FoundationDb);
        Ok(store(FdbStore::open(place, options).await?))
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

    /// Opens the store on a disk that is simulated. A store that was open on it is cut off, as if its process had
    /// been killed. To be called in a tokio runtime; the store's one task ends with the last clone.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn memory(disk: &MemoryDisk, options: StoreOptions) -> Self {
        let store = Self::of(&options, BackEnd::Memory);
        store(MemoryStore::open(disk, options))
    }

    /// The store that several servers of a simulation share, as one of them has it.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn shared(handle: &SharedHandle) -> Self {
        Self::of(&StoreOptions::default(), BackEnd::Shared)(handle.clone())
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
            #[cfg(feature = "foundationdb")]
            BackEnd::FoundationDb(store) => store.run(closure).await,
            #[cfg(feature = "simulation")]
            BackEnd::Memory(store) => store.run(closure).await,
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => store.run(closure).await,
        }
    }

    /// The newest synced state.
    pub fn snapshot(&self) -> Snapshot {
        let snapshot = match &self.back_end {
            BackEnd::Embedded(store) => Snapshot::embedded(store.status().base.load_full()),
            #[cfg(feature = "foundationdb")]
            BackEnd::FoundationDb(store) => Snapshot::foundationdb(store.snapshot()),
            #[cfg(feature = "simulation")]
            BackEnd::Memory(store) => Snapshot::memory(store.status().base.load_full()),
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => Snapshot::shared(store.snapshot()),
        };
        #[cfg(feature = "fault-injection")]
        let snapshot = snapshot.counted(self.tally.clone());
        snapshot
    }

    /// A state with all that this handle's [`Store::run`] has answered so far. It may lack what others have written
    /// since, and so need not ask them.
    pub fn snapshot_of_commits(&self) -> Snapshot {
        let snapshot: Option<Snapshot> = match &self.back_end {
            #[cfg(feature = "foundationdb")]
            BackEnd::FoundationDb(store) => Some(Snapshot::foundationdb(store.snapshot_of_commits())),
            #[cfg(feature = "simulation")]
            BackEnd::Shared(store) => Some(Snapshot::shared(store.snapshot_of_commits())),
            _ => None,
        };
        let Some(snapshot) = snapshot else { return self.snapshot() };
        #[cfg(feature = "fault-injection")]
        let snapshot = snapshot.counted(self.tally.clone());
        snapshot
    }

    /// Whether the store accepts writes.
    pub fn health(&self) -> Health {
        let accepting = match &self.back_end {
            BackEnd::Embedded(store) => store.status().accepting(),
            #[cfg(feature = "foundationdb")]
            BackEnd::FoundationDb(store) => store.accepting(),
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
            #[cfg(feature = "foundationdb")]
            BackEnd::FoundationDb(store) => store.close().await,
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
            #[cfg(feature = "foundationdb")]
            BackEnd::FoundationDb(_) => Err(StoreError::DoneByCluster),
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
