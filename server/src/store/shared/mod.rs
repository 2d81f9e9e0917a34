//! One in-memory store that several servers of a simulation share, and what may go wrong between each and it.
//!
//! | file | what |
//! |---|---|
//! | `trouble` | what goes wrong, and the dice that decide when |
//! | `handle` | one server's way to the store: closures run again, answers lost, time passing |
//! | `snapshot` | reading through it |
//!
//! It behaves as a store behind a network does (see the contract): closures run more than once, an answer may be
//! lost after the commit, what a server that died had handed in may still take effect. All of it follows from the
//! seeds of the handles and passes in tokio's time. One writer runs the closures of all servers one after another.

mod handle;
mod snapshot;
mod trouble;

use std::sync::Arc;

use parking_lot::RwLock;

pub(super) use self::snapshot::SharedSnapshot;
pub use self::{
    handle::SharedHandle,
    trouble::{StoreTrouble, StoreTroubleCounts},
};
use super::{
    memory::{MemoryDisk, MemoryStore},
    options::StoreOptions,
};

/// A store that several servers of one simulation share. Clones are the same store.
#[derive(Debug, Clone)]
pub struct SharedStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    disk: MemoryDisk,
    options: StoreOptions,
    store: RwLock<MemoryStore>,
}

impl SharedStore {
    /// Opens it on a simulated disk, which no other store may use. To be called in a tokio runtime.
    #[must_use]
    pub fn open(disk: &MemoryDisk, options: StoreOptions) -> Self {
        let store = RwLock::new(MemoryStore::open(disk, options.clone()));
        Self { inner: Arc::new(Inner { disk: disk.clone(), options, store }) }
    }

    /// A way to the store for one start of one server. What goes wrong on it follows from the seed.
    #[must_use]
    pub fn handle(&self, seed: u64) -> SharedHandle {
        SharedHandle::new(self.clone(), seed)
    }

    /// The store's machine crashes and is back at once. What was not synced is lost; those whose closures were
    /// under way do not learn whether they took effect, and run them again.
    pub fn crash(&self) {
        let mut store = self.inner.store.write();
        self.inner.disk.crash();
        *store = MemoryStore::open(&self.inner.disk, self.inner.options.clone());
    }

    fn store(&self) -> MemoryStore {
        self.inner.store.read().clone()
    }
}
