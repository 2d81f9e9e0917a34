//! Where the rows of a shared store are, and one server's way there.

use std::sync::Arc;
#[cfg(feature = "foundationdb")]
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use parking_lot::RwLock;

#[cfg(feature = "foundationdb")]
use crate::store::foundationdb::FdbStore;
use crate::store::{
    counts::StoreCounts,
    error::{RunError, StoreError},
    memory::{MemoryDisk, MemoryStore},
    options::StoreOptions,
    transaction::Transaction,
};

#[derive(Debug)]
pub(super) enum Way {
    Memory(Arc<InMemory>),
    #[cfg(feature = "foundationdb")]
    FoundationDb {
        store: FdbStore,
        /// How often it is said to have crashed: the cluster is not ours to crash.
        crashes: Arc<AtomicU64>,
    },
}

/// The one store, which each crash replaces by one with less.
#[derive(Debug)]
pub(super) struct InMemory {
    disk: MemoryDisk,
    options: StoreOptions,
    store: RwLock<MemoryStore>,
}

impl InMemory {
    pub(super) fn store(&self) -> MemoryStore {
        self.store.read().clone()
    }
}

impl Way {
    pub(super) fn memory(disk: &MemoryDisk, options: StoreOptions) -> Self {
        let store = RwLock::new(MemoryStore::open(disk, options.clone()));
        Self::Memory(Arc::new(InMemory { disk: disk.clone(), options, store }))
    }

    #[cfg(feature = "foundationdb")]
    pub(super) fn foundationdb(store: FdbStore) -> Self {
        Self::FoundationDb { store, crashes: Arc::default() }
    }

    /// Another server's way to the same place.
    pub(super) fn another(&self) -> Self {
        match self {
            Self::Memory(place) => Self::Memory(Arc::clone(place)),
            #[cfg(feature = "foundationdb")]
            Self::FoundationDb { store, crashes } => {
                Self::FoundationDb { store: store.another(), crashes: Arc::clone(crashes) }
            }
        }
    }

    pub(super) fn crash(&self) {
        match self {
            Self::Memory(place) => {
                let mut store = place.store.write();
                place.disk.crash();
                *store = MemoryStore::open(&place.disk, place.options.clone());
            }
            #[cfg(feature = "foundationdb")]
            Self::FoundationDb { crashes, .. } => {
                crashes.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    pub(super) async fn run_again<T, E, F>(&self, closure: F, maybe_committed: bool) -> Result<T, RunError<E>>
    where
        F: for<'t> Fn(&'t Transaction) -> BoxFuture<'t, Result<T, E>> + Send + Sync + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match self {
            Self::Memory(place) => {
                let store = place.store();
                store.run_again(closure, maybe_committed).await
            }
            #[cfg(feature = "foundationdb")]
            Self::FoundationDb { store, crashes } => {
                let before = crashes.load(Ordering::Relaxed);
                let outcome = store.run_again(closure, maybe_committed).await;
                if crashes.load(Ordering::Relaxed) == before {
                    outcome
                } else {
                    Err(RunError::Store(StoreError::Failed { reason: "the store crashed".into() }))
                }
            }
        }
    }

    /// Ends this server's use of it.
    pub(super) async fn close(&self) {
        match self {
            Self::Memory(_) => {}
            #[cfg(feature = "foundationdb")]
            Self::FoundationDb { store, .. } => store.close().await,
        }
    }

    pub(super) fn check(&self) -> Result<StoreCounts, StoreError> {
        match self {
            Self::Memory(place) => place.store().check(),
            #[cfg(feature = "foundationdb")]
            Self::FoundationDb { .. } => Err(StoreError::DoneByCluster),
        }
    }
}
